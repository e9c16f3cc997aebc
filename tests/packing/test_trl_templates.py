"""Every chat template that trl brings: ids are those of `apply_chat_template`, learned tokens those that the
template's `_training` twin marks, but for what stands in the generation prompt, which is never learned."""

import pytest
from trl_templates import TWIN, outcome, templates

pytestmark = pytest.mark.slow

TEXTS = templates()
NAMES = [name for name in TEXTS if not name.endswith(TWIN)]

WITHOUT_AN_END = ("glm4moe",)
"""Nothing stands behind the last turn of the template itself; its twin adds the token of the next one."""


@pytest.mark.skipif(not NAMES, reason="no trl: set OPENFLAN_TRL to its wheel")
def test_every_template_of_trl_is_written_and_learned_as_its_twin_says() -> None:
    for name in NAMES:
        found = outcome(name, TEXTS)
        assert not found.refusal, (name, found.refusal)
        assert found.ids == "equal", name
        for masks in found.masks.split(", "):
            assert (
                masks in ("equal", "no twin")
                or masks.endswith("of the generation prompt")
                or name in WITHOUT_AN_END
            ), (name, masks)
