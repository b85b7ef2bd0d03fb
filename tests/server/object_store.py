"""An object store of the tests' own, as a plug-in of MLflow: clients reach it past the server."""

from pathlib import Path

__all__ = ["SCHEME", "install"]

SCHEME = "bucket"

_CODE = """
from mlflow.entities.multipart_upload import (
    CreateMultipartUploadResponse,
    MultipartUploadCredential,
)
from mlflow.entities.presigned_download import PresignedDownloadUrlResponse
from mlflow.entities.presigned_upload import CreatePresignedUploadResponse
from mlflow.store.artifact.artifact_repo import (
    ArtifactRepository,
    MultipartDownloadMixin,
    MultipartUploadMixin,
    PresignedUploadMixin,
)

ADDRESS = "https://bucket.example.com/signed"

class Bucket(
    ArtifactRepository, MultipartUploadMixin, MultipartDownloadMixin, PresignedUploadMixin
):
    def create_multipart_upload(self, local_file, num_parts, artifact_path=None):
        parts = [MultipartUploadCredential(ADDRESS, 1 + part, {}) for part in range(num_parts)]
        return CreateMultipartUploadResponse(upload_id="1", credentials=parts)

    def complete_multipart_upload(self, local_file, upload_id, parts, artifact_path=None):
        pass

    def abort_multipart_upload(self, local_file, upload_id, artifact_path=None):
        if upload_id != "1":
            raise RuntimeError("there is no such upload")

    def get_download_presigned_url(self, artifact_path, expiration=300):
        return PresignedDownloadUrlResponse(ADDRESS, {})

    def create_presigned_upload_url(self, artifact_path, expiration=900):
        return CreatePresignedUploadResponse(ADDRESS)

    def log_artifact(self, local_file, artifact_path=None):
        pass

    def log_artifacts(self, local_dir, artifact_path=None):
        pass

    def list_artifacts(self, path=None):
        return []

    def _download_file(self, remote_file_path, local_path):
        raise NotImplementedError
"""


def install(folder: Path) -> Path:
    """Make *folder* one that, on PYTHONPATH, brings the object store; return it."""
    info = folder / "bucket_store-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bucket-store\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        f"[mlflow.artifact_repository]\n{SCHEME} = bucket_store:Bucket\n"
    )
    (folder / "bucket_store.py").write_text(_CODE)
    return folder
