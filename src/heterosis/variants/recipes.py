"""What can be made of a model: the table of recipes."""

from heterosis.variants import onnx_int8, openvino_ir
from heterosis.variants.recipe import Recipe

RECIPES: dict[str, Recipe] = {
    "onnxruntime": Recipe(engine="onnxruntime", packages=("onnxruntime",)),
    "onnxruntime-int8": Recipe(
        engine="onnxruntime",
        precision="int8",
        packages=("onnxruntime", "onnx"),
        artifact="model.onnx",
        make=onnx_int8.static,
        calibrated=True,
    ),
    "onnxruntime-int8-dynamic": Recipe(
        engine="onnxruntime",
        precision="int8-dynamic",
        packages=("onnxruntime", "onnx"),
        artifact="model.onnx",
        make=onnx_int8.dynamic,
    ),
    "openvino": Recipe(engine="openvino", packages=("openvino",), artifact="model.xml", make=openvino_ir.as_it_is),
    "openvino-bf16": Recipe(
        engine="openvino", precision="bf16", packages=("openvino",), artifact="model.xml", make=openvino_ir.bf16
    ),
    "openvino-int8": Recipe(
        engine="openvino",
        precision="int8",
        packages=("openvino", "onnxruntime", "onnx"),
        artifact="model.xml",
        make=openvino_ir.int8,
        calibrated=True,
    ),
}
"""In the order in which a stage's variants are listed; the first is the reference's."""

AS_IT_IS = "onnxruntime"
"""The recipe of what users of the model already have."""
