"""Known fields: what LiteLLM 1.109 takes for keys and models and Tollgate does not.

One list a path; how they are judged is in tags/known_fields.py, with the lists for tags and pots.
"""

from tags.known_fields import COMMON_FIELDS

KEY_FIELDS = COMMON_FIELDS | {
    "allowed_cache_controls", "budget_fallbacks", "mcp_rpm_limit", "prompts", "object_permission",
    "default_estimated_output_tokens", "default_estimated_output_tokens_per_model",
    "end_user_budget_id", "disable_global_guardrails", "enable_prompt_caching",
    "throttle_on_budget_exceeded", "enforced_params", "allowed_passthrough_routes",
    "denied_passthrough_routes", "allowed_vector_store_indexes", "rpm_limit_type",
    "tpm_limit_type", "router_settings", "access_group_ids", "key_type", "rotation_interval",
    "temp_budget_expiry", "new_master_key",
}  # fmt: skip

KEY_LIST_QUERY = frozenset(
    {
        "user_id", "team_id", "organization_id", "project_id", "access_group_id", "agent_id",
        "include_team_keys", "include_created_by_keys", "sort_by", "expand",
    }
)  # fmt: skip

MODEL_FIELDS = COMMON_FIELDS | {"blocked", "created_by"}

LITELLM_PARAMS = frozenset(
    {
        "azure_ad_token", "vertex_project", "vertex_location", "vertex_credentials", "region_name",
        "gcs_bucket_name", "aws_access_key_id", "aws_secret_access_key", "aws_session_token",
        "aws_region_name", "aws_session_name", "aws_profile_name", "aws_role_name",
        "aws_web_identity_token", "aws_sts_endpoint", "aws_external_id",
        "aws_bedrock_runtime_endpoint", "aws_bedrock_project_id", "s3_bucket_name",
        "s3_region_name", "s3_encryption_key_id", "aws_batch_role_arn", "s3_output_bucket_name",
        "bedrock_tags", "watsonx_region_name", "custom_llm_provider", "tpm", "rpm", "itpm", "otpm",
        "organization", "configurable_clientside_auth_params", "litellm_credential_name",
        "litellm_trace_id", "max_file_size_mb", "default_api_key_tpm_limit",
        "default_api_key_rpm_limit", "max_budget", "budget_duration", "keepalive_seconds",
        "allow_client_keepalive_override", "use_in_pass_through", "use_litellm_proxy",
        "use_chat_completions_api", "use_xai_oauth", "merge_reasoning_content_in_choices",
        "mock_response", "tag_regex", "auto_router_config_path", "auto_router_config",
        "auto_router_default_model", "auto_router_embedding_model", "auto_router_max_input_chars",
        "complexity_router_config", "complexity_router_default_model",
        "adaptive_router_default_model", "adaptive_router_config", "quality_router_config",
        "quality_router_default_model", "vector_store_id", "milvus_text_field", "milvus_db_name",
        "milvus_partition_names", "valkey_host", "valkey_port", "valkey_password", "valkey_ssl",
        "valkey_text_field", "valkey_embedding_field",
    }
)  # fmt: skip

MODEL_INFO = frozenset(
    {
        "db_model", "updated_at", "updated_by", "created_at", "created_by", "tier", "team_id",
        "team_public_model_name", "blocked", "ptu_count", "cost_per_ptu_per_hour",
        "ptu_effective_from", "ptu_effective_to", "allow_fail_open", "enable_tag_filtering",
    }
)  # fmt: skip
