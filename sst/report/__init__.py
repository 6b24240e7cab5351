"""Reports as files: figures and sounds in, report.json and HTML pages out.

`write` writes the report of an evaluation; its `page` is one file, with sounds and pictures inside
(`media`). `listing` is another page, of files with players: that of `library doctor` and
`library duplicates`. `style` is the style sheet of both.

The figures are measured in `sst.evaluation` and `sst.library`. Start with `write.write`.
"""
