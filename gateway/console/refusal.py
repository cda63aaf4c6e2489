"""Why a gateway gave no answer, in a sentence for whoever sits at the command line."""

import httpx


def refusal(response: httpx.Response) -> str:
    """What an unsuccessful answer says: the gateway's own words and code, or that it is no gateway."""
    if response.headers.get("content-type", "").startswith("application/problem+json"):
        problem = response.json()
        return f"{problem['detail']} ({problem['code']}, request {problem['request_id']})"
    return f"{origin(response.request)} answered {response.status_code}, but is no Hedgerow gateway"


def no_answer(error: httpx.HTTPError) -> str:
    """What to say where no answer came at all."""
    return f"no answer from {origin(error.request)} ({type(error).__name__})"


def origin(request: httpx.Request) -> str:
    """The address that a request went to, without path and query."""
    return str(request.url.copy_with(raw_path=b"")).rstrip("/")
