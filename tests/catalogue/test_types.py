"""Device types with published figures."""

import pytest

from heterosis.catalogue import find_type
from heterosis.catalogue.types import TypeEntry, types
from heterosis.terms import Quality
from heterosis.terms.errors import UsageError

ENTRIES = pytest.mark.parametrize("entry", types().type, ids=lambda entry: entry.name)


@ENTRIES
def test_every_figure_has_a_source(entry: TypeEntry) -> None:
    """Modes and prices name sources of the file, and what is modelled says how."""
    assert (entry.price_source is None) == (entry.price_quality is None)
    assert (entry.price_source is None) == (entry.purchase_price is None and entry.price_per_hour is None)
    assert entry.sources <= set(types().sources)
    for mode in entry.mode:
        assert mode.quality == "published" or mode.note
        assert 0 < mode.idle_w < mode.active_w
    assert entry.sleep_w is None or 0 < entry.sleep_w < min(mode.idle_w for mode in entry.mode)


@ENTRIES
def test_saving_modes_draw_less(entry: TypeEntry) -> None:
    """MaxQ needs less than MAXN, busy, and no more idle."""
    modes = {mode.name: mode for mode in entry.mode}
    if len(modes) > 1:
        assert modes["MaxQ"].active_w < modes["MAXN"].active_w
        assert modes["MaxQ"].idle_w <= modes["MAXN"].idle_w


@ENTRIES
def test_planner_sees_the_same(entry: TypeEntry) -> None:
    """The device type has the modes, and says of each where its watts come from."""
    found = find_type(entry.name)
    assert [mode.name for mode in found.power_modes] == [mode.name for mode in entry.mode]
    assert found.quality is Quality.MODELLED
    assert all(types().sources[mode.source].url in found.source for mode in entry.mode)
    assert found.engines == (entry.engine,)


def test_names_and_sources_are_used_once_and_used() -> None:
    """No two types share a name, and no source is left over."""
    names = [entry.name for entry in types().type]
    assert len(set(names)) == len(names)
    assert {source for entry in types().type for source in entry.sources} == set(types().sources)


def test_an_unknown_type_is_answered_with_the_nearest() -> None:
    """The message has what was probably meant."""
    with pytest.raises(UsageError, match=r"no device type 'orin_nx'; did you mean orin-nx"):
        find_type("orin_nx")
    with pytest.raises(UsageError, match=r"no device type 'qqq'; there are: a10-server, "):
        find_type("qqq")
