"""The browser side: what the pages show, and the plain functions behind them."""
