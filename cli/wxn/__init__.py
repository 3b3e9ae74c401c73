"""The command line of WeChat Notify.

- `commands` has a module for each command or group of commands: its options, and how its result is shown. `app`
  puts them together, `run` gives each its stack and its output, `options` and `message_options` have the
  options that several share.
- The terminal: `output` (results, notes and errors, on a `console`), `progress`, `questions`, `language`, `times`.
- Errors: `errors` has the one that ends a command, with its next step and exit code; `usage_errors`, `aws_errors` and
  `system_errors` make it of the errors of others, `suggestions` names what may have been meant.
- The service: `stacks` finds the stack and its clients of AWS, `api` calls its HTTP API, `functions` its functions.
- The logic of commands: `messages` (from `json_files` and options), `sending`, `triggers`, `cron_times`, `accounts`,
  `dead_letters`, `log_lines`, `log_filters`, `explanations`; the packages `broadcasts`, `doctor` and `erasing`.
- `data` has the files that commands read: examples of messages, WeChat's error codes, the problems of the service.
"""

__version__ = "0.1.0"
