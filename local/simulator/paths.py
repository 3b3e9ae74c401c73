"""The paths of the API."""

from local.simulator import components, template_lists
from local.simulator.messages import ENDPOINTS

STABLE_TOKEN = "/cgi-bin/stable_token"  # nosec B105 # a name, not a secret
TOKEN = "/cgi-bin/token"  # nosec B105 # a name, not a secret
QUOTA = "/cgi-bin/openapi/quota/get"
CALLBACK_CHECK = "/cgi-bin/callback/check"
PATHS = (*ENDPOINTS, *template_lists.PATHS, *components.PATHS, STABLE_TOKEN, TOKEN, QUOTA, CALLBACK_CHECK)
