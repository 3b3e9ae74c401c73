"""Pages about WeChat's error codes, made from the table: ``python -m error_pages`` writes them.

What is made: docs/error-codes.md, the same in Chinese, and the data of ``wxn explain``. What is made of: the
table and the advice (``wechat_notify.wechat``), what the service does with each code, asked of the service's
own code (``handling``), and what is written here: classes, symptoms and ``field_reports.toml``. No function
imports this package.
"""
