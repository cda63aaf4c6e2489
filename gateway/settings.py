"""Every setting of the program, read once from the environment (or a .env file in the working folder)."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

MIB = 1024 * 1024


class Settings(BaseSettings):
    """Settings; each can be given as HEDGEROW_<NAME>. Nothing else in the program reads the environment."""

    model_config = SettingsConfigDict(
        env_prefix="HEDGEROW_", env_file=".env", extra="ignore", frozen=True, use_attribute_docstrings=True
    )

    host: str = "127.0.0.1"
    """Address to listen on, for REST and gRPC. 0.0.0.0 listens on all; put TLS in front of it then."""
    rest_port: int = Field(8080, ge=0, le=65535)
    """Port of REST; 0 takes a free one."""
    grpc_port: int = Field(8081, ge=0, le=65535)
    """Port of gRPC; 0 takes a free one."""
    data_dir: Path = Path("var")
    """Folder of the database and the pictures. Made with access for its owner alone."""
    database_url: str = ""
    """SQLAlchemy URL, such as postgresql+psycopg://user@host/name; empty is SQLite in the data folder."""
    models_dirs: tuple[Path, ...] = ()
    """Folders with further model packages, as a JSON list. A package there is one more exam, without any code."""
    workers: int = Field(0, ge=0, le=256)
    """Threads that run models, each with an interpreter of its own; 0 is one for each core."""
    max_upload_bytes: int = Field(64 * MIB, ge=1024)
    """Largest upload, over REST and gRPC alike. A larger one is refused before it is read."""
    max_pixels: int = Field(100_000_000, ge=1024)
    """Largest picture, in pixels of one frame; checked before decoding."""
    max_frames: int = Field(2000, ge=1)
    """Longest clip, in frames; checked before decoding."""
    max_waiting: int = Field(256, ge=1)
    """Requests that may wait for a device; one more is answered "overloaded" at once."""
    max_waiting_bytes: int = Field(512 * MIB, ge=MIB)
    """Bytes that the waiting requests may hold together."""
    timeout_s: float = Field(30.0, gt=0)
    """Deadline of a request that names none; the longest that one may name is ten times this."""
    task_limit_s: float = Field(30.0, gt=0)
    """A device that works on one task for longer is taken for hung, and its process is replaced."""
    keep_images_hours: float = Field(24.0, ge=0)
    """How long pictures are kept: the upload, its mask and its evidence. 0 keeps none: then there are no overlays."""
    keep_analyses_days: float = Field(30.0, gt=0)
    """How long answers are kept. They hold no picture."""
    log_format: Literal["json", "console"] = "json"
    """One JSON object a line, or lines for people."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important lines to log."""

    @property
    def resolved_database_url(self) -> str:
        """The database's URL, SQLite's filled in."""
        return self.database_url or f"sqlite:///{(self.data_dir / 'hedgerow.db').absolute()}"


class ClientSettings(BaseSettings):
    """What `hedgerow analyze` needs to reach a gateway: HEDGEROW_URL and HEDGEROW_KEY."""

    model_config = SettingsConfigDict(
        env_prefix="HEDGEROW_", env_file=".env", extra="ignore", frozen=True, use_attribute_docstrings=True
    )

    url: str = ""
    """A running gateway; empty runs the models in the program itself."""
    key: str = ""
    """Its API key."""
