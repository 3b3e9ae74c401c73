"""From template.yaml to a running stack on the emulator.

CloudFormation itself would translate SAM, read an API's OpenAPI body and apply every property. The
emulator's does not, so those steps are taken here: translate, spell the API out as routes, create the
stack, then set by service call what was dropped. What is deployed stays the template's.
"""
