"""Measures Carafe and the engines that it is compared with, side by side on one machine; see bench/README.md."""
