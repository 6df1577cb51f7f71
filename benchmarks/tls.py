"""TLS for the benchmarks: OpenSSL for the load generator, and a certificate for the servers."""

import shutil
import subprocess
from functools import cache
from pathlib import Path

FLAGS = ("-DTLS", "-lssl", "-lcrypto")
"""The compiler flags that build the load generator with TLS."""

PROBE = "#include <openssl/ssl.h>\nint main(void) { return !TLS_client_method(); }\n"


@cache
def available(compiler: str) -> bool:
    """Return True if the headers, the libraries and the command of OpenSSL are installed."""
    if shutil.which("openssl") is None:
        return False
    command = [compiler, "-x", "c", "-", "-o", "/dev/null", *FLAGS]
    return subprocess.run(command, input=PROBE, text=True, capture_output=True, check=False).returncode == 0


def certificate(folder: Path) -> tuple[Path, Path]:
    """Return the files of a self-signed P-256 certificate and its key. Create the files if they are missing."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    if not (cert.exists() and key.exists()):
        folder.mkdir(parents=True, exist_ok=True)
        kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        named = ("-subj", "/CN=127.0.0.1", "-days", "3650", "-keyout", key, "-out", cert)
        subprocess.run(["openssl", "req", "-x509", *kind, *named], capture_output=True, check=True)
    return cert, key
