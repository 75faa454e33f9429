"""Write the stubs of our .proto files: ``python -m heterosis.serving.protocol.grpc.generate`` (needs grpcio-tools).

Each stub keeps its messages in a pool of its own: other libraries (Triton's client) bring messages of the same names,
and one process may hold both.
"""

import sys
from pathlib import Path

from heterosis.terms.errors import UsageError

HERE = Path(__file__).parent
STUBS = HERE / "stubs"
_SHARED, _OWN = "_descriptor_pool.Default()", "_descriptor_pool.DescriptorPool()"


def generate(folder: Path = STUBS) -> None:
    """Write Python modules and their types into a folder."""
    from grpc_tools import protoc

    for proto in sorted(HERE.glob("*.proto")):
        arguments = ["protoc", f"--proto_path={HERE}", f"--python_out={folder}", f"--pyi_out={folder}", str(proto)]
        if protoc.main(arguments) != 0:
            raise UsageError(f"protoc cannot compile {proto}")
        stub = folder / f"{proto.stem}_pb2.py"
        stub.write_text(stub.read_text().replace(_SHARED, _OWN))


if __name__ == "__main__":
    generate()
    sys.stdout.write(f"wrote {STUBS}\n")
