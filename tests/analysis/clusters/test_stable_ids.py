"""Ids that stay while groups change a little."""

from pathlib import Path

import numpy as np
import pytest
import torch

from analysis.clusters.stable_ids import content_digests, name_groups, resemblance, same_group, signature, spelled
from data.images import TensorStore


def digests(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**64, n, dtype=np.uint64)


def test_content_digests__follow_the_image_and_not_its_place() -> None:
    images = torch.rand(6, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    one = content_digests(TensorStore(images), range(6))
    other = content_digests(TensorStore(images.flip(0)), range(6))
    np.testing.assert_array_equal(one, other[::-1])
    assert len(set(one.tolist())) == 6


def test_spelled__is_the_same_in_any_order_and_with_copies() -> None:
    group = digests(30)
    assert spelled(signature(group)) == spelled(signature(np.concatenate([group[::-1], group[:5]])))


@pytest.mark.parametrize("shared", [0.2, 0.5, 0.8])
def test_resemblance__is_the_jaccard_similarity(shared: float) -> None:
    found = []
    for seed in range(40):
        all_of_them = digests(100, seed)
        only = round(100 * (1 - shared) / 2)
        found.append(resemblance(signature(all_of_them[only:]), signature(all_of_them[: 100 - only])))
    assert np.mean(found) == pytest.approx(shared, abs=0.03)


def test_same_group__after_a_tenth_was_removed_or_added() -> None:
    """Without any record: in 300 groups of 30 at most one loses the last of its four parts."""
    lost = 0
    for seed in range(300):
        group = digests(33, seed)
        lost += not same_group(spelled(signature(group[:30])), spelled(signature(group[3 * (seed % 2) :])))
    assert lost <= 1


def test_same_group__never_among_strangers() -> None:
    ids = [spelled(signature(digests(20, seed))) for seed in range(300)]
    assert not any(same_group(a, b) for i, a in enumerate(ids) for b in ids[:i])


@pytest.mark.parametrize("seed", range(20))
def test_name_groups__keeps_whole_ids_with_a_record(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    groups = [digests(40, 100 * seed + g) for g in range(3)]
    first = [group.id for group in name_groups(groups, tmp_path / "ids.json")]
    assert first == [group.id for group in name_groups(groups)]
    pruned = [rng.permutation(group)[4:] for group in groups]
    grown = [np.concatenate([group, digests(4, 9_000 + seed)]) for group in reversed(pruned)]
    assert [group.id for group in name_groups(pruned, tmp_path / "ids.json")] == first
    assert [group.id for group in name_groups(grown, tmp_path / "ids.json")] == first[::-1]


def test_name_groups__a_split_group_gives_its_id_to_one_part_only(tmp_path: Path) -> None:
    whole = digests(40)
    (first,) = name_groups([whole], tmp_path / "ids.json")
    parts = name_groups([whole[:26], whole[26:]], tmp_path / "ids.json")
    assert parts[0].id == first.id and parts[1].id != first.id


def test_name_groups__the_smaller_part_gets_another_id_even_with_all_that_spelled_it(tmp_path: Path) -> None:
    whole = digests(60)
    (first,) = name_groups([whole], tmp_path / "ids.json")
    spelling = [d for d in whole if any(signature(np.array([d]))[:4] == first.signature[:4])]
    smaller, larger = np.array(spelling), np.array([d for d in whole if d not in spelling])
    parts = name_groups([smaller, larger], tmp_path / "ids.json")
    assert spelled(signature(smaller)) == first.id == parts[1].id != parts[0].id


def test_name_groups__a_broken_record_counts_as_none(tmp_path: Path) -> None:
    record = tmp_path / "ids.json"
    record.write_text('[["x", [1, -2]]', encoding="utf-8")
    assert [group.id for group in name_groups([digests(5)], record)] == [spelled(signature(digests(5)))]
    assert name_groups([], record) == []
