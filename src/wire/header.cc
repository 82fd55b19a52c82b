#include "wire/header.h"

namespace tailrace::wire {
namespace {

bool FlexibleHeader(int16_t api_key, int16_t version) {
  const ApiVersionRange* api = FindApi(api_key);
  return api && api->Flexible(version);
}

}  // namespace

void RequestHeader::Encode(Encoder& to) const {
  to.Int16(api_key);
  to.Int16(api_version);
  to.Int32(correlation_id);
  to.NullableString(client_id, false, true);
  if (FlexibleHeader(api_key, api_version)) to.NoTags();
}

RequestHeader RequestHeader::DecodeFrom(Decoder& from) {
  RequestHeader h;
  h.api_key = from.Int16("header.api_key");
  h.api_version = from.Int16("header.api_version");
  h.correlation_id = from.Int32("header.correlation_id");
  h.client_id = from.NullableString(false, true, "header.client_id");
  if (FlexibleHeader(h.api_key, h.api_version)) from.SkipTags();
  return h;
}

void EncodeResponseHeader(ApiKey api, int16_t version, int32_t correlation_id, Encoder& to) {
  to.Int32(correlation_id);
  if (api != ApiKey::kApiVersions && GetApi(api).Flexible(version)) to.NoTags();
}

int32_t DecodeResponseHeader(ApiKey api, int16_t version, Decoder& from) {
  int32_t correlation_id = from.Int32("header.correlation_id");
  if (api != ApiKey::kApiVersions && GetApi(api).Flexible(version)) from.SkipTags();
  return correlation_id;
}

}  // namespace tailrace::wire
