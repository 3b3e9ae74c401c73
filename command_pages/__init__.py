"""The reference of ``wxn``: docs/wxn.md and docs/zh/wxn.md, made from its commands."""
