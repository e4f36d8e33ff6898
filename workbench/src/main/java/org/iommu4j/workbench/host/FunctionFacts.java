// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.host;

import java.util.Optional;
import java.util.OptionalInt;
import java.util.TreeMap;
import java.util.function.Function;
import org.iommu4j.platform.ConfigSpace;
import org.iommu4j.platform.PciAddress;
import org.jspecify.annotations.Nullable;

/** What was found so far about one function; the first input to say something is believed, others must agree. */
final class FunctionFacts {
    private static final int VENDOR_ID = 0x00;
    private static final int DEVICE_ID = 0x02;
    private static final int CLASS = 0x0a;
    private static final int NO_ID = 0xffff;
    private static final int EXPRESS_DEVICE_CONTROL = 8;
    private static final int ENABLE_NO_SNOOP = 1 << 11;
    private static final int SECONDARY_BUS = 0x19;
    private static final int SUBORDINATE_BUS = 0x1a;
    private static final int HEADER_TYPE = 0x0e;

    private final PciAddress address;
    private final HostEvidence.Builder host;
    private final TreeMap<String, Fact<?>> facts = new TreeMap<>();
    private @Nullable Fact<byte[]> config;
    private ConfigKnowledge knowledge = ConfigKnowledge.NONE;
    private boolean reconstructed;

    FunctionFacts(PciAddress address, HostEvidence.Builder host) {
        this.address = address;
        this.host = host;
    }

    PciAddress address() {
        return address;
    }

    /**
     * Raw bytes, and what follows from them; of two inputs the one that knows more is kept. Where all that was read is
     * ones, the function did not answer and nothing is known; a virtual function has ones for its ids alone, and its
     * Enable No Snoop is reserved.
     */
    FunctionFacts config(byte[] bytes, String source) {
        KnownConfig read = new KnownConfig(bytes);
        if (!answers(read)) {
            return this;
        }
        boolean virtual = read.read(VENDOR_ID, 2) == NO_ID;
        if (!virtual) {
            vendorId(read.read(VENDOR_ID, 2), source);
            deviceId(read.read(DEVICE_ID, 2), source);
        }
        classCode(read.read(CLASS, 2), source);
        ConfigKnowledge known = knowledgeOf(read);
        if (known.capabilities()) {
            int express = read.findCapability(ConfigSpace.CAPABILITY_PCI_EXPRESS);
            if (express != 0) {
                int control = read.read(express + EXPRESS_DEVICE_CONTROL, 2);
                facts.putIfAbsent("Device Control", new Fact<>(control, source));
                if (!virtual) {
                    noSnoop((control & ENABLE_NO_SNOOP) != 0, source);
                }
            }
        }
        if (known.compareTo(knowledge) > 0 || (reconstructed && known == knowledge)) {
            config = new Fact<>(read.bytes(), source);
            knowledge = known;
            reconstructed = false;
        }
        return this;
    }

    private static boolean answers(KnownConfig config) {
        for (int offset = 0; offset < Math.min(config.size(), KnownConfig.HEADER_BYTES); offset += 4) {
            if (config.read(offset, 4) != -1) {
                return true;
            }
        }
        return false;
    }

    /** Bytes put together from text; raw bytes are preferred when they know as much. */
    FunctionFacts reconstructed(byte[] bytes, ConfigKnowledge known, String source) {
        if (known.compareTo(knowledge) > 0) {
            config = new Fact<>(bytes.clone(), source);
            knowledge = known;
            reconstructed = true;
        }
        return this;
    }

    private static ConfigKnowledge knowledgeOf(KnownConfig config) {
        return switch (config.size()) {
            case 0 -> ConfigKnowledge.NONE;
            case KnownConfig.HEADER_BYTES -> ConfigKnowledge.HEADER;
            case KnownConfig.EXPRESS_BYTES -> ConfigKnowledge.ALL;
            default ->
                config.findCapability(ConfigSpace.CAPABILITY_PCI_EXPRESS) == 0
                        ? ConfigKnowledge.ALL
                        : ConfigKnowledge.CAPABILITIES;
        };
    }

    FunctionFacts group(int group, String source) {
        return keep("group", group, source, Object::toString);
    }

    FunctionFacts unit(String unit, String source) {
        return keep("unit", unit, source, Function.identity());
    }

    FunctionFacts driver(String driver, String source) {
        return keep("driver", driver, source, name -> name.isEmpty() ? "none" : name);
    }

    FunctionFacts noSnoop(boolean enabled, String source) {
        return keep("Enable No Snoop", enabled, source, on -> on ? "on" : "off");
    }

    FunctionFacts vendorId(int id, String source) {
        return keep("vendor id", id, source, FunctionFacts::hex);
    }

    FunctionFacts deviceId(int id, String source) {
        return keep("device id", id, source, FunctionFacts::hex);
    }

    FunctionFacts classCode(int code, String source) {
        return keep("class", code, source, FunctionFacts::hex);
    }

    FunctionFacts bridge(PciAddress above, String source) {
        return keep("bridge above", above, source, Object::toString);
    }

    FunctionFacts physicalFunction(PciAddress physical, String source) {
        return keep("physical function", physical, source, Object::toString);
    }

    /** Says that it is on a root bus. */
    FunctionFacts onRootBus(String source) {
        facts.putIfAbsent("root bus", new Fact<>(true, source));
        return this;
    }

    /** Says that it is in no group, unless some input names one. */
    FunctionFacts inNoGroup(String source) {
        facts.putIfAbsent("no group", new Fact<>(true, source));
        return this;
    }

    /** Names differ with the age of pci.ids, which is no contradiction. */
    FunctionFacts name(String name, String source) {
        facts.putIfAbsent("name", new Fact<>(name, source));
        return this;
    }

    FunctionFacts className(String name, String source) {
        facts.putIfAbsent("class name", new Fact<>(name, source));
        return this;
    }

    private static String hex(int value) {
        return String.format("%04x", value);
    }

    private <T> FunctionFacts keep(String what, T value, String source, Function<T, String> shown) {
        Fact<?> earlier = facts.putIfAbsent(what, new Fact<>(value, source));
        if (earlier != null && !earlier.value().equals(value)) {
            @SuppressWarnings("unchecked")
            T other = (T) earlier.value();
            host.contradiction(
                    what + " of " + address, shown.apply(other), earlier.source(), shown.apply(value), source);
        }
        return this;
    }

    @SuppressWarnings("unchecked") // every name is kept with one type, above
    private <T> Optional<Fact<T>> find(String what) {
        return Optional.ofNullable((Fact<T>) facts.get(what));
    }

    Optional<Fact<byte[]>> config() {
        return Optional.ofNullable(config);
    }

    ConfigKnowledge knowledge() {
        return knowledge;
    }

    boolean reconstructed() {
        return reconstructed;
    }

    Optional<Fact<Integer>> group() {
        return find("group");
    }

    Optional<Fact<String>> unit() {
        return find("unit");
    }

    Optional<Fact<String>> driver() {
        return find("driver");
    }

    Optional<Fact<Boolean>> noSnoop() {
        return find("Enable No Snoop");
    }

    Optional<Fact<Integer>> deviceControl() {
        return find("Device Control");
    }

    Optional<Fact<Integer>> vendorId() {
        return find("vendor id");
    }

    Optional<Fact<Integer>> deviceId() {
        return find("device id");
    }

    Optional<Fact<Integer>> classCode() {
        return find("class");
    }

    Optional<Fact<PciAddress>> bridge() {
        return find("bridge above");
    }

    Optional<Fact<PciAddress>> physicalFunction() {
        return find("physical function");
    }

    boolean isOnRootBus() {
        return facts.containsKey("root bus");
    }

    boolean isInNoGroup() {
        return facts.containsKey("no group");
    }

    Optional<Fact<String>> name() {
        return find("name");
    }

    Optional<Fact<String>> className() {
        return find("class name");
    }

    /** Returns the first bus below this bridge, or empty when it is none or nothing is known of it. */
    OptionalInt secondaryBus() {
        if (config == null || headerType() == 0) {
            return OptionalInt.empty();
        }
        return OptionalInt.of(config.value()[SECONDARY_BUS] & 0xff);
    }

    /** Returns the last bus below this bridge. */
    int subordinateBus() {
        return config == null ? 0 : config.value()[SUBORDINATE_BUS] & 0xff;
    }

    private int headerType() {
        return config == null ? 0 : config.value()[HEADER_TYPE] & 0x7f;
    }
}
