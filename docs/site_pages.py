"""Pages that are made, not written: the notebooks, files at the root, links that leave docs/."""

import re
from pathlib import Path

import nbconvert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
AT_THE_ROOT = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
# Code, which holds no link, or a link: text, path from the page, anchor.
CODE_OR_LINK = re.compile(
    r"^```.*?^```$|`[^`\n]+`|(?<!!)\[([^\]]*)\]\(([\w./-]+)(#[\w-]+)?\)", re.MULTILINE | re.DOTALL
)
# What pandas and terminals add to a printed table: the site has a style of its own.
STYLE = re.compile(r"<style scoped>.*?</style>|\x1b\[[0-9;]*m", re.DOTALL)
PANDAS_TABLE = '<table border="1" class="dataframe">'


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that are made: one for each notebook, with its figures, and others."""
    for source, name in AT_THE_ROOT.items():
        files.append(File.generated(config, name, content=(ROOT / source).read_text()))
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        text, resources = nbconvert.MarkdownExporter().from_filename(str(path))
        for figure, content in resources["outputs"].items():
            name = f"tutorials/{path.stem}/{figure}"
            files.append(File.generated(config, name, content=content))
            text = text.replace(f"]({figure})", f"]({path.stem}/{figure})")
        text = STYLE.sub("", text).replace(PANDAS_TABLE, "<table>")
        files.append(File.generated(config, f"tutorials/{path.stem}.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links to files outside docs/ lead to the page made of them, or name the file."""
    del config
    here = page.file.src_uri
    from_root = here in AT_THE_ROOT.values()  # such a file has its links from the root
    folder = ROOT if from_root else (ROOT / "docs" / here).parent

    def turned(match: re.Match[str]) -> str:
        text, link, anchor = match.groups()
        if link is None or here.startswith("tutorials/") and not here.endswith("index.md"):
            return match[0]
        path = (folder / link).resolve().relative_to(ROOT)
        found = page_of(path)
        if found is None:
            assert (ROOT / path).exists(), f"{here}: {link}"
            return f"{text} (`{path}`)"
        assert files.get_file_from_path(found), f"{here}: {link}"
        return f"[{text}]({'../' * here.count('/')}{found}{anchor or ''})"

    return CODE_OR_LINK.sub(turned, markdown)


def page_of(path: Path) -> str | None:
    """The page made of a file, by its path from the root; None for other files."""
    if path.parts[0] == "docs" and path.suffix == ".md":
        return path.relative_to("docs").as_posix()
    if path.parts[0] == "notebooks" and path.suffix == ".ipynb":
        return f"tutorials/{path.stem}.md"
    return AT_THE_ROOT.get(path.as_posix())
