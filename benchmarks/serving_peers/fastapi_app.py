"""A plain FastAPI server as any user would write it: `uvicorn fastapi_app:app --workers 2` in this folder."""

from fastapi import FastAPI, Request
from serving_task import Classifier

app = FastAPI()
classifier = Classifier()


@app.post("/classify")
async def classify(request: Request) -> dict[str, list[tuple[str, float]]]:
    """The five best labels of a JPEG."""
    return {"best": classifier.classify(await request.body())}
