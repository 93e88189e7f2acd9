import io.apicurio.registry.serde.avro.AvroKafkaDeserializer;
import io.apicurio.registry.serde.avro.AvroKafkaSerializer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.DecoderFactory;

/**
 * The serializer and the deserializer that Apicurio Registry gives its users, for values in Confluent's wire format.
 *
 * <pre>
 * Records read REGISTRY TOPIC            lines of hex on standard input, each a value; prints each as JSON
 * Records write REGISTRY TOPIC SCHEMA    lines of Avro's JSON on standard input; prints each value in hex
 * </pre>
 *
 * REGISTRY is the address of the registry's own API, as http://localhost:8080/apis/registry/v2.
 */
public final class Records {
    public static void main(String[] arguments) throws Exception {
        Map<String, Object> settings = Map.of(
            "apicurio.registry.url", arguments[1],
            "apicurio.registry.as-confluent", true,
            "apicurio.registry.headers.enabled", false,
            "apicurio.registry.use-id", "contentId",
            "apicurio.registry.auto-register", false,
            // The subject is the record's full name.
            "apicurio.registry.artifact-resolver-strategy",
            "io.apicurio.registry.serde.avro.strategy.QualifiedRecordIdStrategy",
            "apicurio.registry.find-latest", true);
        String input = new String(System.in.readAllBytes(), StandardCharsets.UTF_8);
        if (arguments[0].equals("read")) {
            read(settings, arguments[2], input);
        } else {
            write(settings, arguments[2], new Schema.Parser().parse(Files.readString(Path.of(arguments[3]))), input);
        }
    }

    private static void read(Map<String, Object> settings, String topic, String input) {
        try (AvroKafkaDeserializer<GenericRecord> deserializer = new AvroKafkaDeserializer<>()) {
            deserializer.configure(settings, false);
            input.lines().forEach(line -> System.out.println(
                GenericData.get().toString(deserializer.deserialize(topic, HexFormat.of().parseHex(line)))));
        }
    }

    private static void write(Map<String, Object> settings, String topic, Schema schema, String input) throws Exception {
        GenericDatumReader<GenericRecord> reader = new GenericDatumReader<>(schema);
        try (AvroKafkaSerializer<GenericRecord> serializer = new AvroKafkaSerializer<>()) {
            serializer.configure(settings, false);
            for (String line : input.lines().toList()) {
                GenericRecord record = reader.read(null, DecoderFactory.get().jsonDecoder(schema, line));
                System.out.println(HexFormat.of().formatHex(serializer.serialize(topic, record)));
            }
        }
    }
}
