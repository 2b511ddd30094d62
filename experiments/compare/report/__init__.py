"""Report of a comparison as one self-contained HTML file: ``evenhand compare --html``."""
