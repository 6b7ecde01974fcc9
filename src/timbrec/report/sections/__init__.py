"""Sections of the page, in the order of the catalogue.

A section is a class in `NAME.py`, its template `NAME.html.j2` beside it, and one line under "sections" in
`timbrec.catalog`:

    class Strata:
        title: ClassVar[str] = "Where audio helps"  # the heading
        link: ClassVar[str] = "Strata"  # the name in the navigation

        def content(self, data: ReportData) -> dict[str, Any] | None:
            table = data.tables.get("strata")
            return None if table is None else {"rows": table.to_dicts()}

`content` returns the variables of the template, or None where the run has nothing to show; the section is then left
out. The template is an HTML fragment that starts below the heading. It also knows `data`, `failed` (names of failed
audit checks) and `checks` (their number); every value is escaped. Nothing may be loaded, no `style` attributes.

**Figures of a section's own** come from a function under "tables" in the catalogue, `(run: Run, figures: Figures,
progress: Progress | None) -> pl.DataFrame | None`, in `results/NAME.py`. Its table is computed once, stored in the
run's folder while run and code stay the same, and passed to every section as `data.tables[NAME]`.

**Filters.** The page has one state: metric, scenario and recommender. An element with `data-metric`, `data-scenario`
or `data-recommender` is hidden while the state names another value. Mark every element that shows one of them; scripts
are not needed. Elements for metrics other than `data.primary` start with `hidden`. A section about the primary metric
alone says so with `{{ part.primary_only(data.primary) }}`.

**Downloads.** `{{ part.downloads(name, title, frame) }}` offers a polars frame as CSV, JSON and LaTeX.

**Drawings** are made in Python. `shared.forest.forest(differences)` and `{{ part.forest_plot(forest, caption) }}` draw
differences with intervals; `shared.matrix` and the class names `matrix` and `q0` to `q7` are for matrices.
`{{ part.plain(columns, rows, caption) }}` is a plain table, and `{{ part.refusal(failed) }}` belongs above all figures.
`shared/numbers.py` writes numbers.
"""
