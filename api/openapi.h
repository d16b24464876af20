/* openapi.yaml as JSON text, made at build time. */
#ifndef HF_API_OPENAPI_H
#define HF_API_OPENAPI_H

extern const char api_openapi_json[];

#endif
