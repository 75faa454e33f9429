"""The protocol over gRPC, without the gRPC: bytes of messages in, arrays out, and the other way round."""
