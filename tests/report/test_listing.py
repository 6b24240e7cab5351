from sst.report.listing import Entry, Section, listing


def test_a_long_page_has_links_but_no_players():
    entries = [Entry(f"/a/{i}.wav", f"{i}.wav", []) for i in range(1001)]
    page = listing("t", "i", [Section("s", "n", [], entries)])
    assert page.count('href="file:///a/') == 1001 and "<audio" not in page
