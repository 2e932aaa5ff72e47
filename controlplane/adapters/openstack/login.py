"""Ways of being let in: the plane's own, a tenant's user, the plane in a tenant's project."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from keystoneauth1 import exceptions as auth_errors
from keystoneauth1 import session as auth_session

from controlplane.adapters.openstack.refusal import refused
from controlplane.adapters.openstack.retry import TRANSIENT, retry_after
from controlplane.adapters.openstack.wire import Fault


class Login:
    """A way of being let in, with its current token; one made `of` another starts from its token."""

    def __init__(
        self, session: auth_session.Session, plugin: Callable[[str], Any], who: str, of: Login | None = None
    ) -> None:
        self._session, self._new, self._who, self._of = session, plugin, who, of
        self._plugin: Any = None
        self._given = ""
        self._lock = threading.Lock()

    def token(self) -> str:
        """A token that was valid a moment ago. Raises Fault, or CloudRefused when it is not let in."""
        with self._lock:
            try:
                return self._token()
            except auth_errors.HttpError as error:
                if self._of is None or error.http_status not in (401, 404):
                    raise self._trouble(error) from None
            self._of.forget(self._given)  # the token it was made of may be revoked
            self._plugin = None
            try:
                return self._token()
            except auth_errors.HttpError as error:
                raise self._trouble(error) from None

    def _token(self) -> str:
        if self._plugin is None:
            self._given = self._of.token() if self._of else ""
            self._plugin = self._new(self._given)
        try:
            return str(self._plugin.get_token(self._session))
        except auth_errors.HttpError:
            raise
        except auth_errors.ClientException as error:
            raise Fault(type(error).__name__, acted=False, service="identity") from None

    def _trouble(self, error: auth_errors.HttpError) -> Exception:
        status = error.http_status or 500
        if status in TRANSIENT:
            asked = retry_after(
                error.response.headers.get("Retry-After") if error.response is not None else None
            )
            return Fault(f"HTTP {status}", acted=False, service="identity", asked=asked)
        said = str(error.message or "").encode()
        return refused("identity", status, said, action="log in", address=self._who)

    def forget(self, token: str) -> None:
        """Drop this token, unless another thread has got a new one already."""
        with self._lock:
            held = getattr(self._plugin, "auth_ref", None)
            if held is not None and held.auth_token == token:
                self._plugin.invalidate()
                if self._of is not None:
                    self._plugin = None

    def access(self) -> Any:
        """The access information: user, project, roles and catalog."""
        self.token()
        return self._plugin.get_access(self._session)
