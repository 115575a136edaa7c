"""Files come back as they went; every damaged or lying one is a typed error, at little memory."""

import dataclasses
import io
import json
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from site_problems import sites

from jaxmed.federated.archive import Content, SiteFileError, read_key, write_archive
from jaxmed.federated.marks import Mark, marked
from jaxmed.federated.merged import load_merged, merged_of, save_merged
from jaxmed.federated.noise import noise_for
from jaxmed.federated.second_round import load_sums, round_sums, save_sums
from jaxmed.federated.storage import load_site, save_site
from jaxmed.federated.summary import content_of, summarise

KEY = b"0123456789abcdef0123456789abcdef"
MARK = Mark("0f" * 16, "1e" * 32, 3)


def summary():
    return summarise(sites()[0], site="north")


def noisy_summary():
    columns = summary().columns
    noise = noise_for(columns, dict.fromkeys(columns, (0, 50)), epsilon=1, delta=1e-5, clip=4)
    rng = np.random.default_rng(0)
    return summarise(sites()[0], site="north", noise=noise, generator=rng)


def in_file(one=None):
    """Content as `save_site` writes it."""
    return marked(content_of(one or summary()), MARK)


@pytest.mark.parametrize("make", [summary, noisy_summary])
def test_a_summary_comes_back_to_the_last_bit(make, tmp_path):
    one = make()
    again = load_site(save_site(one, tmp_path / "a.npz", key=KEY), key=KEY)
    assert again.digest == one.digest and again.columns == one.columns
    np.testing.assert_array_equal(again.moments.comoment, one.moments.comoment)
    assert again.noise == one.noise and again.binary == one.binary and again.rules == one.rules


@pytest.mark.parametrize("make", [summary, noisy_summary])
def test_the_mark_comes_back_and_is_not_in_the_digest(make, tmp_path):
    one = dataclasses.replace(make(), ledger=MARK)
    assert one.digest == dataclasses.replace(one, ledger=None).digest
    assert load_site(save_site(one, tmp_path / "a.npz")).ledger == MARK
    assert load_site(save_site(make(), tmp_path / "b.npz")).ledger is None


def test_no_row_and_no_extreme_is_in_the_file(tmp_path):
    data = sites()[0]
    path = save_site(summarise(data, site="north"), tmp_path / "a.npz")
    with np.load(path) as held:
        assert set(held) == {"counts", "mean", "comoment", "metadata", "sha256"}
        numbers = np.concatenate([held[n].ravel() for n in ("counts", "mean", "comoment")])
    rows = np.concatenate([data.exposure, data.outcome, data.mediators.ravel()])
    assert not np.isin(rows, numbers).any()


def test_a_changed_or_foreign_file_is_refused(tmp_path):
    path = save_site(summary(), tmp_path / "a.npz", key=KEY)
    with pytest.raises(SiteFileError, match="another key"):
        load_site(path, key=KEY[::-1])
    with pytest.raises(SiteFileError, match="not signed"):
        load_site(save_site(summary(), tmp_path / "b.npz"), key=KEY)
    members = members_of(path)
    array = npy_array(members["mean"])
    array[0] += 1
    with pytest.raises(SiteFileError, match="a.npz: sha256: does not fit the content"):
        load_site(packed(path, members | {"mean": npy(array)}))
    # Whoever changes a number can make the digest anew, but not the signature.
    forged = Content(in_file().metadata, in_file().arrays | {"mean": array})
    write_archive(path, forged)
    with np.load(path) as held:
        parts = {n: npy(held[n]) for n in held}
    load_site(path)
    with pytest.raises(SiteFileError, match="another key"):
        load_site(packed(path, parts | {"hmac": members["hmac"]}), key=KEY)


def test_short_keys_are_refused(tmp_path):
    (tmp_path / "key").write_bytes(b"short\n")
    with pytest.raises(ValueError, match="16 are needed"):
        read_key(tmp_path / "key")
    (tmp_path / "key").write_bytes(KEY + b"\n")
    assert read_key(tmp_path / "key") == KEY


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.npz"):
        load_site(tmp_path / "none.npz")


def npy(array, **options):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asarray(array), **options)
    return buffer.getvalue()


def npy_array(raw):
    return np.lib.format.read_array(io.BytesIO(raw)).copy()


def members_of(path):
    with zipfile.ZipFile(path) as archive:
        return {n.removesuffix(".npy"): archive.read(n) for n in archive.namelist()}


def packed(path, members, extra=()):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in [*members.items(), *extra]:
            archive.writestr(f"{name}.npy", raw)
    return path


def lying_header(array, shape):
    """The bytes of an array under a header that says another shape."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"descr": "<f8", "fortran_order": False, "shape": shape}
    )
    return head.getvalue() + np.asarray(array).tobytes()


def metadata(path, text):
    return packed(path, members_of(path) | {"metadata": npy(np.frombuffer(text, np.uint8))})


def flipped(path, member):
    """One bit in the middle of a member's compressed bytes."""
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(f"{member}.npy")
    raw = bytearray(path.read_bytes())
    start = info.header_offset + 30 + len(info.filename)
    raw[start + info.compress_size // 2] ^= 16
    path.write_bytes(raw)


def small_size(path):
    """The table of contents says that the co-moments unpack to 300 bytes."""
    raw = bytearray(path.read_bytes())
    place = raw.rindex(b"comoment.npy")
    raw[place - 46 + 24 : place - 46 + 28] = struct.pack("<I", 300)
    path.write_bytes(raw)


def zeros(path, name, count):
    """A member that unpacks to `count` bytes of zeros."""
    head = lying_header([], (count // 8,))
    members = members_of(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for other, raw in members.items():
            if other != name:
                archive.writestr(f"{other}.npy", raw)
        with archive.open(f"{name}.npy", "w") as stream:
            stream.write(head)
            block = bytes(1 << 20)
            for _ in range(count >> 20):
                stream.write(block)


def replaced(**arrays):
    """Members under a digest that no longer fits; what is wrong shows before it is looked at."""

    def damage(path):
        members = members_of(path)
        for name, change in arrays.items():
            members[name] = change(npy_array(members[name]))
        packed(path, members)

    return damage


def rewritten(change):
    """Other content under a digest that fits it: whoever writes the file can do that."""

    def damage(path):
        content = in_file()
        arrays = {name: array.copy() for name, array in content.arrays.items()}
        found = json.loads(json.dumps(content.metadata))
        change(found, arrays)
        write_archive(path, Content(found, arrays))

    return damage


def put(place, value):
    return rewritten(lambda found, arrays: found.__setitem__(place, value))


def array_value(name, place, value):
    return rewritten(lambda found, arrays: arrays[name].__setitem__(place, value))


def scaled(name, factor):
    return rewritten(lambda found, arrays: arrays[name].__imul__(factor))


def in_dict(place, name, value):
    return rewritten(lambda found, arrays: found[place].__setitem__(name, value))


def asymmetric(found, arrays):
    arrays["comoment"][0, 3] *= 1.01


def not_psd(found, arrays):
    arrays["comoment"][0, 3] = arrays["comoment"][3, 0] = 2 * np.sqrt(
        arrays["comoment"][0, 0] * arrays["comoment"][3, 3]
    )


def collinear_breach(found, arrays):
    diagonal = np.sqrt(np.diag(arrays["comoment"]))
    arrays["comoment"][:] = np.outer(diagonal, diagonal) * -0.5
    arrays["comoment"][np.diag_indices(len(diagonal))] = diagonal**2


def varying_constant(found, arrays):
    arrays["comoment"][4, 4] = 0


def mean_of_a_binary_column(found, arrays):
    arrays["mean"][1] += 0.01


def noise_of(**changes):
    def damage(path):
        content = in_file(noisy_summary())
        found = json.loads(json.dumps(content.metadata))
        found["noise"] |= changes
        write_archive(path, Content(found, content.arrays))

    return damage


def swapped_columns(found, arrays):
    found["names"]["mediators"][:2] = found["names"]["mediators"][1::-1]


def names_without_list(found, arrays):
    found["names"]["mediators"] = "m1"


CORPUS = {
    "empty": lambda p: p.write_bytes(b""),
    "text": lambda p: p.write_text("age,outcome\n1,2\n"),
    "png": lambda p: p.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(200)),
    "end of archive only": lambda p: p.write_bytes(p.read_bytes()[-22:]),
    **{
        f"cut to {share:.0%}": lambda p, s=share: p.write_bytes(
            p.read_bytes()[: int(s * len(p.read_bytes()))]
        )
        for share in (0.1, 0.4, 0.7, 0.95)
    },
    "beginning gone": lambda p: p.write_bytes(p.read_bytes()[40:]),
    **{
        f"bit of {name}": lambda p, n=name: flipped(p, n)
        for name in ("counts", "mean", "comoment", "metadata", "sha256")
    },
    "size in the table": small_size,
    "header of terabytes": replaced(comoment=lambda a: lying_header(a, (10**6, 10**6))),
    "header of one row more": replaced(mean=lambda a: lying_header(a, (len(a) + 1,))),
    "negative shape": replaced(mean=lambda a: lying_header(a, (-1, -9))),
    "header no dict": replaced(mean=lambda a: npy(a)[:10] + b"[1, 2, 3]" + npy(a)[19:]),
    "npy version 9": replaced(mean=lambda a: npy(a)[:6] + b"\x09\x00" + npy(a)[8:]),
    "objects": replaced(mean=lambda a: npy(np.array([{}], object), allow_pickle=True)),
    "float32": replaced(comoment=lambda a: npy(a.astype("f4"))),
    "integers": replaced(counts=lambda a: npy(a.astype(int))),
    "complex": replaced(mean=lambda a: npy(a + 0j)),
    "strings": replaced(mean=lambda a: npy(a.astype("U9"))),
    "big endian": replaced(mean=lambda a: npy(a.astype(">f8"))),
    "digest of zeros": replaced(sha256=lambda a: npy(a * 0)),
    "digest cut": replaced(sha256=lambda a: npy(a[:16])),
    "bomb of 128 MB": lambda p: zeros(p, "comoment", 128 << 20),
    "bomb below the limit": lambda p: zeros(p, "comoment", 60 << 20),
    "bomb in the metadata": lambda p: zeros(p, "metadata", 16 << 20),
    "member missing": lambda p: packed(
        p, {n: raw for n, raw in members_of(p).items() if n != "counts"}
    ),
    "member unknown": lambda p: packed(p, members_of(p) | {"rows": npy(np.ones(3))}),
    "member twice": lambda p: packed(p, members_of(p), [("mean", npy(np.ones(9)))]),
    "metadata no JSON": lambda p: metadata(p, b"{'site': 1}"),
    "metadata not UTF-8": lambda p: metadata(p, b"\xff\xfe{}"),
    "metadata with NaN": lambda p: metadata(p, b'{"schema": "jaxmed.site", "x": NaN}'),
    "metadata a list": lambda p: metadata(p, b"[1, 2]"),
    "metadata a thousand deep": lambda p: metadata(p, b"[" * 100_000),
    "other schema": put("schema", "jaxmed.merged"),
    "later version": put("version", 99),
    "no site": put("site", None),
    "label with a path": put("site", "../north"),
    "unknown entry": put("query", "select *"),
    "no mark": rewritten(lambda found, arrays: found.pop("ledger")),
    "mark a number": put("ledger", 1),
    "mark without head": put("ledger", {"ledger": "0f" * 16, "length": 3}),
    "mark of another form": put("ledger", {"ledger": "north", "head": "1e" * 32, "length": 3}),
    "mark of release 0": put("ledger", {"ledger": "0f" * 16, "head": "1e" * 32, "length": 0}),
    "mark of half a release": put(
        "ledger", {"ledger": "0f" * 16, "head": "1e" * 32, "length": 1.5}
    ),
    "rows_dtype": put("rows_dtype", "float16"),
    "names as a list": put("names", ["a", "b"]),
    "names no list": rewritten(names_without_list),
    "a name twice": rewritten(lambda found, arrays: found["names"].update(outcome="dose")),
    "a name a number": rewritten(lambda found, arrays: found["names"].update(outcome=3)),
    "no mediators": rewritten(lambda found, arrays: found["names"].update(mediators=[])),
    "names in another order": rewritten(swapped_columns),
    "rules missing": put("rules", {}),
    "rules below the floor": in_dict("rules", "min_rows", 2),
    "rules of text": in_dict("rules", "max_ratio", "0.33"),
    "rules not kept": in_dict("rules", "min_rows", 61),
    "ratio not kept": in_dict("rules", "max_ratio", 0.01),
    "flags too few": put("binary", [True]),
    "flags no flags": put("binary", [1] * 9),
    "a flag that is not so": put("binary", [True] * 9),
    "binary mean": rewritten(mean_of_a_binary_column),
    "noise of nonsense": put("noise", {"epsilon": 1}),
    "noise with another sigma": noise_of(sigma=1.0),
    "noise with epsilon 0": noise_of(epsilon=0),
    "noise without scale": noise_of(scale=[0.0] * 9),
    "NaN": array_value("comoment", (1, 2), np.nan),
    "infinity": array_value("mean", 0, np.inf),
    "huge": array_value("mean", 0, 1e200),
    "asymmetric": rewritten(asymmetric),
    "correlation of 2": rewritten(not_psd),
    "not positive semidefinite": rewritten(collinear_breach),
    "negative square": array_value("comoment", (3, 3), -1.0),
    "constant that varies": rewritten(varying_constant),
    "rows no whole number": array_value("counts", slice(0, 3), 60.5),
    "two rows": array_value("counts", slice(0, 3), 2.0),
    "weight of other rows": array_value("counts", 1, 70.0),
    "squared weights too small": array_value("counts", 2, 10.0),
    "squared weights too large": array_value("counts", 2, 1e9),
    "other rows than the mean of 0/1": array_value("counts", slice(0, 3), 61.0),
    "co-moments scaled": scaled("comoment", 1e-3),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("damage", CORPUS.values(), ids=CORPUS)
def test_a_corrupted_site_file_is_a_typed_error_at_little_memory(damage, tmp_path):
    path = save_site(summary(), tmp_path / "north.npz")
    load_site(path)
    damage(path)
    tracemalloc.start()
    try:
        with pytest.raises(SiteFileError) as error:
            load_site(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100e6
    assert isinstance(error.value, ValueError) and str(error.value).startswith("north.npz: ")
    assert error.value.field and error.value.problem and error.value.remedy


def test_the_corpus_is_large():
    assert len(CORPUS) >= 50


def content_changed(path, change):
    """The file with other metadata or arrays, and a digest that fits."""
    members = members_of(path)
    found = json.loads(npy_array(members["metadata"]).tobytes())
    names = set(members) - {"metadata", "sha256"}
    arrays = {name: npy_array(members[name]) for name in names}
    change(found, arrays)
    write_archive(path, Content(found, arrays))


MERGED = {
    "no sites": lambda found, arrays: found.update(sites=[]),
    "a site twice": lambda found, arrays: found["sites"].append(found["sites"][0]),
    "a site of text": lambda found, arrays: found["sites"].append("south"),
    "other rows": lambda found, arrays: found["sites"][0].update(rows=99),
    "slopes of nobody": lambda found, arrays: found.update(by_site=[[], [], [], []]),
    "slopes no lists": lambda found, arrays: found.update(by_site=["age"]),
    "effects no flag": lambda found, arrays: found.update(site_effects=1),
    "unknown entry": lambda found, arrays: found.update(x=1),
    "dtype": lambda found, arrays: found.update(rows_dtype=None),
    "covariates of others": lambda found, arrays: found["names"]["covariates"].reverse(),
    "NaN": lambda found, arrays: arrays["mean"].fill(np.nan),
    "asymmetric": asymmetric,
}


@pytest.mark.parametrize("change", MERGED.values(), ids=MERGED)
def test_a_corrupted_merged_file_is_a_typed_error(change, tmp_path):
    merged = merged_of(
        [summarise(d, site=s) for d, s in zip(sites()[:2], "ab", strict=True)], site_effects=True
    )
    path = save_merged(merged, tmp_path / "merged.npz")
    assert load_merged(path).digest == merged.digest
    content_changed(path, change)
    with pytest.raises(SiteFileError, match="merged.npz"):
        load_merged(path)


SUMS = {
    "NaN": lambda found, arrays: arrays["sums"].fill(np.nan),
    "negative square": lambda found, arrays: arrays["sums"].fill(-1),
    "count a flag": lambda found, arrays: found.update(count=True),
    "site a number": lambda found, arrays: found.update(site=1),
    "no mark": lambda found, arrays: found.pop("ledger"),
    "mark of text": lambda found, arrays: found.update(ledger="0f" * 16),
    "a yes of text": lambda found, arrays: found.update(exceeds="no"),
}


@pytest.mark.parametrize("change", SUMS.values(), ids=SUMS)
def test_corrupted_sums_are_a_typed_error(change, tmp_path):
    one = summarise(sites()[0], site="a")
    sums = round_sums(sites()[0], merged_of([one]), site="a")
    sums = dataclasses.replace(sums, ledger=MARK)
    path = save_sums(sums, tmp_path / "sums.npz")
    assert load_sums(path) == sums
    content_changed(path, change)
    with pytest.raises(SiteFileError, match="sums.npz"):
        load_sums(path)
