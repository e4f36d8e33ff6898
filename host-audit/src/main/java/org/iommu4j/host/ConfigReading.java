// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.OptionalInt;
import org.iommu4j.pci.ConfigSpace;

/**
 * One input's reading of a function's configuration space.
 *
 * <p>Most of its bytes change while a host runs. So readings are compared only by the fields that decide about places
 * and groups: header type and buses, type of the PCI Express capability, Access Control Services, virtual functions.
 */
final class ConfigReading {
    private static final int SUBORDINATE_BUS = 0x1a;
    private static final int EXPRESS_CAPABILITIES = 2;
    private static final int ACS_CAPABILITY = 4;
    private static final int ACS_CONTROL = 6;
    /** Bits of the ACS registers that are switches; above is the size of a vector. */
    private static final int ACS_SWITCHES = 0x7f;

    private static final int SRIOV_CONTROL = 0x08;
    private static final int SRIOV_COUNT = 0x10;
    private static final int SRIOV_OFFSET = 0x14;
    private static final int SRIOV_STRIDE = 0x16;

    private static final long ABSENT = -1;

    private static final Key<Long> HEADER = Key.of("header", Long.class, ConfigReading::header);
    private static final Key<Long> EXPRESS =
            Key.of("PCI Express capability", Long.class, type -> type == ABSENT ? "absent" : "of type " + type);
    private static final Key<Long> ACS = Key.of(
            "Access Control Services",
            Long.class,
            switches -> switches == ABSENT ? "absent" : String.format("%02x of %02x", switches >> 8, switches & 0xff));
    private static final Key<Long> SRIOV = Key.of(
            "SR-IOV",
            Long.class,
            places -> places == ABSENT
                    ? "off"
                    : String.format(
                            "%d functions from %d by %d", places >> 32, places >> 16 & 0xffff, places & 0xffff));

    private final KnownConfig config;
    private final ConfigKnowledge knowledge;
    private final boolean reconstructed;
    private final Source source;
    private final Map<Key<Long>, Long> decides = new LinkedHashMap<>();

    /**
     * Keeps a reading.
     *
     * @param reconstructed whether it was put together from text
     */
    ConfigReading(KnownConfig config, ConfigKnowledge knowledge, boolean reconstructed, Source source) {
        this.config = config;
        this.knowledge = knowledge;
        this.reconstructed = reconstructed;
        this.source = source;
        if (knowledge != ConfigKnowledge.NONE) {
            decides.put(HEADER, header());
        }
        if (knowledge.capabilities()) {
            decides.put(EXPRESS, express());
        }
        if (knowledge.extendedCapabilities()) {
            decides.put(ACS, accessControl());
            decides.put(SRIOV, virtualFunctions());
        }
    }

    private long header() {
        return config.headerLayout() == 0
                ? 0
                : config.headerLayout() << 16 | config.secondaryBus() << 8 | config.read(SUBORDINATE_BUS, 1);
    }

    private static String header(long header) {
        return header == 0
                ? "that of an endpoint"
                : String.format("that of a bridge to buses %02x-%02x", header >> 8 & 0xff, header & 0xff);
    }

    private long express() {
        int at = config.findCapability(ConfigSpace.CAPABILITY_PCI_EXPRESS);
        return at == 0 ? ABSENT : config.read(at + EXPRESS_CAPABILITIES, 2) >> 4 & 0xf;
    }

    private long accessControl() {
        int at = config.findExtendedCapability(ConfigSpace.EXTENDED_CAPABILITY_ACS);
        return at == 0
                ? ABSENT
                : (config.read(at + ACS_CONTROL, 2) & ACS_SWITCHES) << 8
                        | (config.read(at + ACS_CAPABILITY, 2) & ACS_SWITCHES);
    }

    private long virtualFunctions() {
        int at = config.findExtendedCapability(ConfigSpace.EXTENDED_CAPABILITY_SRIOV);
        return at == 0 || (config.read(at + SRIOV_CONTROL, 2) & 1) == 0
                ? ABSENT
                : (long) config.read(at + SRIOV_COUNT, 2) << 32
                        | (long) config.read(at + SRIOV_OFFSET, 2) << 16
                        | config.read(at + SRIOV_STRIDE, 2);
    }

    /** Records its deciding fields as facts. */
    void record(Facts facts) {
        decides.forEach((key, value) -> facts.record(key, value, source));
    }

    /** Returns whether all its deciding fields agree with the facts. */
    boolean isBelieved(Facts facts) {
        return decides.entrySet().stream()
                .allMatch(entry -> facts.value(entry.getKey())
                        .filter(entry.getValue()::equals)
                        .isPresent());
    }

    Fact<byte[]> bytes() {
        return new Fact<>(config.bytes(), source.name());
    }

    ConfigKnowledge knowledge() {
        return knowledge;
    }

    boolean reconstructed() {
        return reconstructed;
    }

    /** Returns the first bus below a bridge, empty for other functions. */
    OptionalInt secondaryBus() {
        return config.headerLayout() == 0 ? OptionalInt.empty() : OptionalInt.of(config.secondaryBus());
    }

    int subordinateBus() {
        return config.read(SUBORDINATE_BUS, 1);
    }

    /** Returns whether it takes precedence over another: it knows more, is raw, or has a higher rank. */
    boolean isBetterThan(ConfigReading other) {
        if (knowledge != other.knowledge) {
            return knowledge.compareTo(other.knowledge) > 0;
        }
        if (reconstructed != other.reconstructed) {
            return other.reconstructed;
        }
        return source.rank().compareTo(other.source.rank()) < 0;
    }
}
