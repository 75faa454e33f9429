"""Power modes, one way to set them a file, behind `Actuator`; `registry` has them all."""
