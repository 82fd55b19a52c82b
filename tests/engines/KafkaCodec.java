// Reads lines "api-key is-request version hex", decodes each with Kafka's own codec and encodes it again.
// Prints how many were compared, how many differ, and which. Versions this Kafka does not know are left out.

import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.TreeMap;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.ObjectSerializationCache;

public class KafkaCodec {
    public static void main(String[] args) throws Exception {
        int compared = 0, differ = 0;
        var failures = new TreeMap<String, String>();
        for (String line : Files.readAllLines(Path.of(args[0]))) {
            String[] field = line.split(" ", -1);
            ApiMessageType type = ApiMessageType.fromApiKey(Short.parseShort(field[0]));
            boolean request = field[1].equals("1");
            short version = Short.parseShort(field[2]);
            byte[] bytes = HexFormat.of().parseHex(field[3]);
            if (version > type.highestSupportedVersion(true)) continue;
            compared++;
            try {
                ApiMessage message = request ? type.newRequest() : type.newResponse();
                ByteBuffer in = ByteBuffer.wrap(bytes);
                message.read(new ByteBufferAccessor(in), version);
                var cache = new ObjectSerializationCache();
                ByteBuffer out = ByteBuffer.allocate(message.size(cache, version));
                message.write(new ByteBufferAccessor(out), cache, version);
                if (in.hasRemaining()) throw new Exception(in.remaining() + " bytes left");
                if (!Arrays.equals(out.array(), bytes)) throw new Exception("other bytes");
            } catch (Exception e) {
                differ++;
                failures.putIfAbsent(type + (request ? " request v" : " response v") + version, e.toString());
            }
        }
        System.out.println(compared + " " + differ + " " + failures);
    }
}
