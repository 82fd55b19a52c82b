// Made-up rows. Every value is a function of the seed, the field and the row's number, so that a job that resumes goes
// on with the rows it would have had. Options are Flink's:
// https://nightlies.apache.org/flink/flink-docs-stable/docs/connectors/table/datagen/

#include <algorithm>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "connectors/connector_spec.h"
#include "data/value_text.h"

namespace tailrace::connectors {

namespace {

constexpr OptionSpec kDatagenOptions[] = {
    {"rows-per-second", OptionType::kInt, false, "10000", "", "0: as fast as the job takes them"},
    {"number-of-rows", OptionType::kInt, false, "", "", "then the source ends; default: it never does"},
    {"seed", OptionType::kInt, false, "1", "", "same seed, same rows"},
    {"fields.*.kind", OptionType::kChoice, false, "random", "random|sequence",
     "sequence: from start to end, one a row"},
    {"fields.*.min", OptionType::kString, false, "", "", "least random value"},
    {"fields.*.max", OptionType::kString, false, "", "", "greatest random value"},
    {"fields.*.max-past", OptionType::kDuration, false, "0 s", "", "times: up to so long before now"},
    {"fields.*.length", OptionType::kInt, false, "", "", "of random strings (default 100) and arrays (3)"},
    {"fields.*.var-len", OptionType::kBool, false, "false", "", "lengths from 1 to 'length'"},
    {"fields.*.start", OptionType::kString, false, "", "", "of a sequence: a number, or a time"},
    {"fields.*.end", OptionType::kString, false, "", "", "of a sequence: the source ends behind it"},
    {"fields.*.step", OptionType::kDuration, false, "1ms", "", "of a sequence of times"},
    {"fields.*.null-rate", OptionType::kDouble, false, "0", "", "share of NULLs, 0 to 1"},
};

uint64_t Mix(uint64_t x) {  // splitmix64's finalizer
  x += 0x9E3779B97F4A7C15ull;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}

struct Generator {
  data::Type type;
  uint64_t seed = 0;
  bool sequence = false;
  int64_t start = 0, step = 1;
  int64_t last = std::numeric_limits<int64_t>::max();  // of a sequence
  int64_t min = 0;
  uint64_t range = 0;  // max - min + 1; 0: all 64 bits
  double real_min = 0, real_range = 1;
  int64_t length = 100;
  bool variable_length = false;
  int64_t max_past_us = 0;
  uint64_t null_below = 0;  // NULL where a hash is below
  std::vector<Generator> children;
};

bool IsTime(const data::Type& type) {
  return type.id == data::TypeId::kTimestamp || type.id == data::TypeId::kTimestampTz;
}

Result<int64_t> ReadBound(const OptionValues& options, const std::string& name, const data::Type& type) {
  std::string text = options.String(name);
  data::Column column;
  alignas(16) char value[16] = {};
  column.type = type;
  column.data = value;
  if (!data::CastText(text, column, 0))
    return options.Wrong(name, "expected " + type.ToString() + ", found '" + text + "'");
  switch (type.ValueSize()) {
    case 1: return static_cast<int64_t>(column.Values<int8_t>()[0]);
    case 2: return static_cast<int64_t>(column.Values<int16_t>()[0]);
    case 4: return static_cast<int64_t>(column.Values<int32_t>()[0]);
    default: return column.Values<int64_t>()[0];
  }
}

Result<Generator> MakeGenerator(const OptionValues& options, const std::string& path, const data::Type& type,
                                uint64_t seed) {
  Generator g;
  g.type = type;
  uint64_t hash = seed;
  for (char c : path) hash = Mix(hash ^ static_cast<unsigned char>(c));
  g.seed = hash;
  std::string prefix = "fields." + path + ".";
  auto has = [&](const char* name) { return options.Has(prefix + name); };
  g.sequence = options.String(prefix + "kind") == "sequence";
  g.max_past_us = options.Int(prefix + "max-past") * 1000;
  double null_rate = options.Double(prefix + "null-rate");
  if (null_rate < 0 || null_rate > 1) return options.Wrong(prefix + "null-rate", "expected 0 to 1");
  g.null_below = null_rate >= 1 ? ~0ull : static_cast<uint64_t>(null_rate * 18446744073709551615.0);
  g.variable_length = options.Bool(prefix + "var-len");
  g.length = has("length") ? options.Int(prefix + "length") : type.id == data::TypeId::kList ? 3 : 100;
  if (g.length < 0 || g.length > 1'000'000) return options.Wrong(prefix + "length", "expected 0 to 1000000");

  if (g.sequence) {
    if (!has("start")) return options.Wrong(prefix + "kind", "a sequence needs '" + prefix + "start'");
    bool number = type.id == data::TypeId::kVarchar;
    const data::Type bound = number ? data::Type(data::TypeId::kBigInt) : type;
    bool counts = number || IsTime(type) || type.id == data::TypeId::kTinyInt || type.id == data::TypeId::kSmallInt ||
                  type.id == data::TypeId::kInteger || type.id == data::TypeId::kBigInt;
    if (!counts) return options.Wrong(prefix + "kind", "no sequence of the type " + type.ToString());
    g.start = TRY(ReadBound(options, prefix + "start", bound));
    if (has("end")) g.last = TRY(ReadBound(options, prefix + "end", bound));
    g.step = IsTime(type) ? std::max<int64_t>(1, options.Int(prefix + "step") * 1000) : 1;
    return g;
  }
  auto range = [&](int64_t least, int64_t most) -> Status {
    g.min = has("min") ? TRY(ReadBound(options, prefix + "min", type)) : least;
    int64_t max = has("max") ? TRY(ReadBound(options, prefix + "max", type)) : most;
    if (max < g.min) return options.Wrong(prefix + "max", "is below the least value");
    g.range = static_cast<uint64_t>(max) - static_cast<uint64_t>(g.min) + 1;
    return Ok();
  };
  switch (type.id) {
    case data::TypeId::kTinyInt: TRY(range(INT8_MIN, INT8_MAX)); break;
    case data::TypeId::kSmallInt: TRY(range(INT16_MIN, INT16_MAX)); break;
    case data::TypeId::kInteger: TRY(range(INT32_MIN, INT32_MAX)); break;
    case data::TypeId::kBigInt: TRY(range(INT64_MIN, INT64_MAX)); break;
    case data::TypeId::kDate: TRY(range(0, 24'000)); break;
    case data::TypeId::kDecimal: {
      double limit = 1;
      for (int i = 0; i < std::min<int>(type.width - type.scale, 15); i++) limit *= 10;
      g.real_min = has("min") ? options.Double(prefix + "min") : 0;
      g.real_range = (has("max") ? options.Double(prefix + "max") : limit * 0.999) - g.real_min;
      break;
    }
    case data::TypeId::kFloat:
    case data::TypeId::kDouble:
      g.real_min = has("min") ? options.Double(prefix + "min") : 0;
      g.real_range = (has("max") ? options.Double(prefix + "max") : 1) - g.real_min;
      if (g.real_range < 0) return options.Wrong(prefix + "max", "is below the least value");
      break;
    case data::TypeId::kStruct:
      for (const data::Field& f : type.children)
        g.children.push_back(TRY(MakeGenerator(options, path + "." + f.name, f.type, seed)));
      break;
    case data::TypeId::kList:
      g.children.push_back(TRY(MakeGenerator(options, path + ".element", type.children[0].type, seed)));
      break;
    case data::TypeId::kMap:
    case data::TypeId::kInterval:
    case data::TypeId::kBlob:
      return Error(ErrorCode::kUnsupported, "datagen: field " + path + " has the type " + type.ToString())
          .At(options.Where(prefix + "kind"));
    default: break;
  }
  return g;
}

/// Values of rows `first` to `first + rows`.
void Fill(const Generator& g, uint64_t first, uint64_t rows, int64_t now_us, data::Arena& arena, data::Column& column) {
  auto random = [&](uint64_t i) { return Mix(g.seed + (first + i) * 0x9E3779B97F4A7C15ull); };
  auto in_range = [&](uint64_t i) {
    uint64_t r = random(i);
    if (g.range) r = static_cast<uint64_t>((static_cast<unsigned __int128>(r) * g.range) >> 64);
    return static_cast<int64_t>(static_cast<uint64_t>(g.min) + r);
  };
  auto number = [&](uint64_t i) {
    return g.sequence ? g.start + static_cast<int64_t>(first + i) * g.step : in_range(i);
  };
  auto real = [&](uint64_t i) { return g.real_min + static_cast<double>(random(i) >> 11) * 0x1.0p-53 * g.real_range; };
  switch (g.type.id) {
    case data::TypeId::kBoolean:
      for (uint64_t i = 0; i < rows; i++) column.Values<uint8_t>()[i] = random(i) & 1;
      break;
    case data::TypeId::kTinyInt:
      for (uint64_t i = 0; i < rows; i++) column.Values<int8_t>()[i] = static_cast<int8_t>(number(i));
      break;
    case data::TypeId::kSmallInt:
      for (uint64_t i = 0; i < rows; i++) column.Values<int16_t>()[i] = static_cast<int16_t>(number(i));
      break;
    case data::TypeId::kInteger:
    case data::TypeId::kDate:
      for (uint64_t i = 0; i < rows; i++) column.Values<int32_t>()[i] = static_cast<int32_t>(number(i));
      break;
    case data::TypeId::kBigInt:
      for (uint64_t i = 0; i < rows; i++) column.Values<int64_t>()[i] = number(i);
      break;
    case data::TypeId::kHugeInt:
    case data::TypeId::kUuid:
      for (uint64_t i = 0; i < rows; i++) {
        uint64_t low = random(i), high = Mix(low);
        if (g.type.id == data::TypeId::kUuid) {  // version 4, variant 1; DuckDB flips the top bit
          high = (high & ~0xF000ull) | 0x4000;
          low = (low & ~(3ull << 62)) | (2ull << 62);
        }
        memcpy(column.Values<char>() + i * 16, &low, 8);
        memcpy(column.Values<char>() + i * 16 + 8, &high, 8);
      }
      break;
    case data::TypeId::kFloat:
      for (uint64_t i = 0; i < rows; i++) column.Values<float>()[i] = static_cast<float>(real(i));
      break;
    case data::TypeId::kDouble:
      for (uint64_t i = 0; i < rows; i++) column.Values<double>()[i] = real(i);
      break;
    case data::TypeId::kDecimal: {
      double scale = 1;
      for (int i = 0; i < g.type.scale; i++) scale *= 10;
      for (uint64_t i = 0; i < rows; i++) data::StoreDecimal(column, i, static_cast<__int128>(real(i) * scale));
      break;
    }
    case data::TypeId::kVarchar:
      for (uint64_t i = 0; i < rows; i++) {
        uint64_t r = random(i);
        if (g.sequence) {
          char text[data::kValueTextMax];
          char* end = data::WriteInt64(text, g.start + static_cast<int64_t>(first + i));
          column.Values<data::StringRef>()[i] = arena.Copy({text, static_cast<size_t>(end - text)});
          continue;
        }
        int64_t length =
            g.variable_length && g.length ? 1 + static_cast<int64_t>(r % static_cast<uint64_t>(g.length)) : g.length;
        char* text = static_cast<char*>(arena.Allocate(static_cast<size_t>(length)));
        for (int64_t k = 0; k < length; k++) {
          if (k % 16 == 0) r = Mix(r);
          text[k] = "0123456789abcdef"[r >> (k % 16 * 4) & 15];
        }
        column.Values<data::StringRef>()[i] = data::StringRef(text, static_cast<uint32_t>(length));
      }
      break;
    case data::TypeId::kTime:
      for (uint64_t i = 0; i < rows; i++)
        column.Values<int64_t>()[i] = static_cast<int64_t>(random(i) % 86'400'000'000ull);
      break;
    case data::TypeId::kTimestamp:
    case data::TypeId::kTimestampTz:
      for (uint64_t i = 0; i < rows; i++) {
        column.Values<int64_t>()[i] =
            g.sequence
                ? number(i)
                : now_us - (g.max_past_us ? static_cast<int64_t>(random(i) % static_cast<uint64_t>(g.max_past_us)) : 0);
      }
      break;
    case data::TypeId::kStruct:
      for (size_t c = 0; c < g.children.size(); c++)
        Fill(g.children[c], first, rows, now_us, arena, column.children[c]);
      break;
    case data::TypeId::kList: {
      auto length = static_cast<uint64_t>(g.length);
      data::AllocateChild(arena, column, rows * length);
      Fill(g.children[0], first * length, rows * length, now_us, arena, column.children[0]);
      for (uint64_t i = 0; i < rows; i++) column.Values<data::ListEntry>()[i] = {i * length, length};
      break;
    }
    default: break;
  }
  if (g.null_below) {
    for (uint64_t i = 0; i < rows; i++)
      if (Mix(random(i) ^ 0x5bd1e995) < g.null_below) column.SetNull(i);
  }
}

class DatagenSource final : public stream::Source {
 public:
  explicit DatagenSource(SourceArguments arguments)
      : options_(std::move(arguments.options)),
        clock_(arguments.context.clock ? *arguments.context.clock : Clock::System()),
        rate_(options_.Int("rows-per-second")) {}

  Status Prepare(const stream::ScanSpec& scan) {
    data::Schema schema = scan.table->physical_schema();
    auto seed = static_cast<uint64_t>(options_.Int("seed"));
    if (options_.Has("number-of-rows")) total_ = options_.Int("number-of-rows");
    // All fields, not only those wanted: the end of a sequence ends the source whoever reads it.
    for (const data::Field& field : schema) {
      Generator g = TRY(MakeGenerator(options_, field.name, field.type, seed));
      if (g.sequence && g.last != std::numeric_limits<int64_t>::max()) {
        int64_t count = g.last < g.start ? 0 : (g.last - g.start) / g.step + 1;
        total_ = total_ < 0 ? count : std::min(total_, count);
      }
      generators_.push_back(std::move(g));
    }
    columns_ = scan.columns;
    return Ok();
  }

  Status Open(const std::string& position) override {
    if (!position.empty()) {
      auto json = nlohmann::json::parse(position, nullptr, false);
      if (!json.is_object() || json.value("v", 0) != 1)
        return Corrupt("not a datagen position: " + position.substr(0, 80));
      next_ = json.value("row", int64_t{0});
    }
    first_ = next_;
    opened_ns_ = clock_.MonotonicNs();
    return Ok();
  }

  Result<stream::PollState> Poll(stream::Polled* out) override {
    if (total_ >= 0 && next_ >= total_) return stream::PollState::kEnd;
    int64_t due = next_ + data::kBatchRows;
    if (rate_ > 0) {
      double seconds = static_cast<double>(clock_.MonotonicNs() - opened_ns_) * 1e-9;
      due = std::min(due, first_ + static_cast<int64_t>(seconds * static_cast<double>(rate_)) + 1);
    }
    if (total_ >= 0) due = std::min(due, total_);
    if (due <= next_) return stream::PollState::kIdle;
    auto rows = static_cast<uint32_t>(due - next_);
    auto arena = std::make_shared<data::Arena>();
    data::Batch batch;
    batch.rows = rows;
    int64_t now_us = clock_.NowUs();
    for (int c : columns_) {
      const Generator& g = generators_[static_cast<size_t>(c)];
      batch.columns.push_back(data::AllocateColumn(*arena, g.type, rows));
      Fill(g, static_cast<uint64_t>(next_), rows, now_us, *arena, batch.columns.back());
    }
    AddOrigins(*arena, rows, now_us / 1000, &batch);
    batch.owners.push_back(arena);
    out->batches.push_back(std::move(batch));
    out->records += rows;
    next_ = due;
    if (total_ >= 0 && next_ >= total_) return stream::PollState::kEnd;
    return rows == data::kBatchRows ? stream::PollState::kMore : stream::PollState::kIdle;
  }

  std::string Position() const override { return nlohmann::json{{"v", 1}, {"row", next_}}.dump(); }
  bool bounded() const override { return total_ >= 0; }

 private:
  void AddOrigins(data::Arena& arena, uint32_t rows, int64_t now_ms, data::Batch* batch) {
    static const TopicPartition kFrom{"datagen", 0};
    auto* origins = static_cast<data::RowOrigin*>(arena.Allocate(sizeof(data::RowOrigin) * rows));
    for (uint32_t i = 0; i < rows; i++) new (&origins[i]) data::RowOrigin{&kFrom, next_ + i, now_ms, {}, {}};
    batch->origins = origins;
  }

  OptionValues options_;
  Clock& clock_;
  int64_t rate_;
  int64_t total_ = -1;
  std::vector<Generator> generators_;
  std::vector<int> columns_;
  int64_t next_ = 0, first_ = 0;
  int64_t opened_ns_ = 0;
};

Status CheckDatagen(const sql::Table& table, const OptionValues& options) {
  for (const data::Field& field : table.physical_schema()) TRY(MakeGenerator(options, field.name, field.type, 1));
  for (const auto& [name, value] : options.WithPrefix("fields.")) {
    std::string field = name.substr(0, name.find('.'));
    if (data::FindField(table.physical_schema(), field) < 0)
      return options.Wrong("fields." + name,
                           "the table has no column '" + field + "'; " + data::DescribeFields(table.physical_schema()));
  }
  if (options.Int("rows-per-second") < 0) return options.Wrong("rows-per-second", "expected 0 or more");
  return Ok();
}

}  // namespace

const ConnectorSpec& DatagenConnector() {
  static const ConnectorSpec spec = {"datagen",
                                     "made-up rows, the same for the same seed",
                                     kDatagenOptions,
                                     &CheckDatagen,
                                     [](SourceArguments arguments) -> Result<std::unique_ptr<stream::Source>> {
                                       const stream::ScanSpec& scan = arguments.scan;
                                       auto source = std::make_unique<DatagenSource>(std::move(arguments));
                                       TRY(source->Prepare(scan));
                                       return std::unique_ptr<stream::Source>(std::move(source));
                                     },
                                     nullptr};
  return spec;
}

}  // namespace tailrace::connectors
