"""Early binding: calls stand in the line of a processor, whichever of its instances is to run them."""

from heterosis.scheduling import InstanceDown
from heterosis.studies.slo_mael.setting import make_plan
from heterosis.testing import Driver, runs


def board(policy: str) -> Driver:
    """Drive a policy on three processors that each can run any of six models, one at a time."""
    return Driver(make_plan(policy, 5, 1.0, 0))


def test_earliest_completion_counts_what_other_models_have_on_the_processor() -> None:
    """The DSP is resnet's best, but what other models wait for there makes the GPU faster."""
    driver = board("earliest_completion")
    assert runs(driver.ask("a", "resnet50")) == [("resnet50@dsp", ("a",))]
    assert runs(driver.ask("b", "googlenet")) == [("googlenet@gpu", ("b",))]
    assert driver.ask("c", "squeezenet") == [], "17 ms on the GPU, after 29, beat 13 ms on the DSP, after 37"
    assert driver.ask("d", "googlenet") == [], "19 ms on the DSP, after 37, beat 29 ms on the GPU, after 29 and 17"
    assert runs(driver.done("googlenet@gpu", after=0.028)) == [("squeezenet@gpu", ("c",))]
    assert runs(driver.done("resnet50@dsp", after=0.009)) == [("googlenet@dsp", ("d",))]


def test_a_line_keeps_its_order_over_models() -> None:
    """Round robin sends every third call of each model to the same processor, where they run as they came."""
    driver = board("round_robin")
    assert runs(driver.ask("a", "lenet")) == [("lenet@big", ("a",))]
    assert driver.ask("b", "resnet50") == []
    assert driver.ask("c", "frcnn") == []
    assert runs(driver.done("lenet@big")) == [("resnet50@big", ("b",))]
    assert runs(driver.done("resnet50@big")) == [("frcnn@big", ("c",))]


def test_the_line_of_an_instance_that_is_down_is_bound_anew() -> None:
    """Only its own calls leave the processor; those of other models stay."""
    driver = board("round_robin")
    driver.ask("a", "lenet")
    driver.ask("b", "resnet50")
    driver.ask("c", "frcnn")
    assert runs(driver(InstanceDown(instance="resnet50@big", reason="died"))) == [], "it is started again at once"
    again = driver(InstanceDown(instance="resnet50@big", reason="died again"))
    assert runs(again) == [("resnet50@dsp", ("b",))], "it is started again after a pause; others are free"
    assert runs(driver.done("lenet@big")) == [("frcnn@big", ("c",))]
