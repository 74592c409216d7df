"""Everything that is measured, a module each; `registry` lists them."""
