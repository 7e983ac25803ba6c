"""What drf-spectacular makes of the API: nothing here depends on the environment."""

SETTINGS = {
    "TITLE": "Tollgate",
    "DESCRIPTION": "OpenAI-compatible gateway with tags, spend by tag, and budgets that hold.",
    "VERSION": "0.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PUBLIC": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "proxy.openapi.complete_document",
    ],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}
