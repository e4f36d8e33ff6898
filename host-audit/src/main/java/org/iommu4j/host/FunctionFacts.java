// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.Supplier;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;

/** Gathers the facts of all inputs about one function; the {@link Rank} of each input decides. */
final class FunctionFacts {
    private static final int VENDOR_ID = 0x00;
    private static final int DEVICE_ID = 0x02;
    private static final int CLASS = 0x0a;
    private static final int NO_ID = 0xffff;
    private static final int EXPRESS_DEVICE_CAPABILITIES = 4;
    private static final int EXPRESS_DEVICE_CONTROL = 8;
    private static final int FUNCTION_LEVEL_RESET = 1 << 28;
    private static final int CAPABILITY_ADVANCED_FEATURES = 0x13;
    private static final int ADVANCED_FEATURES = 3;
    private static final int ENABLE_NO_SNOOP = 1 << 11;

    /** In place of a group's number: it is in none. */
    private static final int NO_GROUP = -1;

    private static final Key<Integer> VENDOR = Key.of("vendor id", Integer.class, FunctionFacts::hex);
    private static final Key<Integer> DEVICE = Key.of("device id", Integer.class, FunctionFacts::hex);
    private static final Key<Integer> CLASS_CODE = Key.of("class", Integer.class, FunctionFacts::hex);
    private static final Key<Integer> GROUP =
            Key.of("group", Integer.class, group -> group == NO_GROUP ? "none" : group.toString());
    private static final Key<String> UNIT = Key.of("unit", String.class, Function.identity());
    private static final Key<String> DRIVER =
            Key.of("driver", String.class, driver -> driver.isEmpty() ? "none" : driver);
    private static final Key<Boolean> NO_SNOOP = Key.of("Enable No Snoop", Boolean.class, on -> on ? "on" : "off");
    private static final Key<Integer> DEVICE_CONTROL = Key.loose("Device Control", Integer.class);
    private static final Key<Boolean> RESETS_ITSELF = Key.loose("function level reset", Boolean.class);
    private static final Key<String> RESET_METHODS = Key.loose("reset methods", String.class);
    private static final Key<PciAddress> BRIDGE = Key.of("bridge above", PciAddress.class, PciAddress::toString);
    private static final Key<PciAddress> PHYSICAL = Key.of("physical function", PciAddress.class, PciAddress::toString);
    private static final Key<Boolean> ON_ROOT_BUS = Key.loose("root bus", Boolean.class);
    private static final Key<String> NAME = Key.loose("name", String.class);
    private static final Key<String> CLASS_NAME = Key.loose("class name", String.class);

    private final PciAddress address;
    private final Facts facts;
    private final List<ConfigReading> readings = new ArrayList<>(1);

    /**
     * Makes one for a function without facts.
     *
     * @param warnings receives a line where an input takes precedence over another
     */
    FunctionFacts(PciAddress address, Consumer<Supplier<String>> warnings) {
        this.address = address;
        this.facts = new Facts(words -> words + " of " + address, warnings);
    }

    PciAddress address() {
        return address;
    }

    /**
     * Raw bytes, and what follows from them. Where all that was read is ones, the function did not answer and nothing
     * is known; a virtual function has ones for its ids alone, and its Enable No Snoop is reserved.
     */
    FunctionFacts config(byte[] bytes, Source source) {
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
            resetsItself(hasFunctionLevelReset(read), source);
            int express = read.findCapability(ConfigSpace.CAPABILITY_PCI_EXPRESS);
            if (express != 0) {
                int control = read.read(express + EXPRESS_DEVICE_CONTROL, 2);
                facts.record(DEVICE_CONTROL, control, source);
                if (!virtual) {
                    noSnoop((control & ENABLE_NO_SNOOP) != 0, source);
                }
            }
        }
        return read(new ConfigReading(read, known, false, source));
    }

    /** Device Capabilities bit 28 of PCI Express, or bit 1 of the capabilities of Advanced Features. */
    private static boolean hasFunctionLevelReset(KnownConfig read) {
        int express = read.findCapability(ConfigSpace.CAPABILITY_PCI_EXPRESS);
        int advanced = read.findCapability(CAPABILITY_ADVANCED_FEATURES);
        return (express != 0 && (read.read(express + EXPRESS_DEVICE_CAPABILITIES, 4) & FUNCTION_LEVEL_RESET) != 0)
                || (advanced != 0 && (read.read(advanced + ADVANCED_FEATURES, 1) & 2) != 0);
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
    FunctionFacts reconstructed(byte[] bytes, ConfigKnowledge known, Source source) {
        return read(new ConfigReading(new KnownConfig(bytes), known, true, source));
    }

    private FunctionFacts read(ConfigReading reading) {
        reading.record(facts);
        readings.add(reading);
        return this;
    }

    private static ConfigKnowledge knowledgeOf(KnownConfig config) {
        return switch (config.size()) {
            case 0 -> ConfigKnowledge.NONE;
            case KnownConfig.HEADER_BYTES -> ConfigKnowledge.HEADER;
            case ConfigSpace.EXPRESS_BYTES -> ConfigKnowledge.ALL;
            default ->
                config.findCapability(ConfigSpace.CAPABILITY_PCI_EXPRESS) == 0
                        ? ConfigKnowledge.ALL
                        : ConfigKnowledge.CAPABILITIES;
        };
    }

    FunctionFacts group(int group, Source source) {
        return record(GROUP, group, source);
    }

    /** Records that it is in no group. */
    FunctionFacts inNoGroup(Source source) {
        return record(GROUP, NO_GROUP, source);
    }

    FunctionFacts unit(String unit, Source source) {
        return record(UNIT, unit, source);
    }

    FunctionFacts driver(String driver, Source source) {
        return record(DRIVER, driver, source);
    }

    FunctionFacts noSnoop(boolean enabled, Source source) {
        return record(NO_SNOOP, enabled, source);
    }

    /** Records whether it can be reset by itself. */
    FunctionFacts resetsItself(boolean can, Source source) {
        return record(RESETS_ITSELF, can, source);
    }

    /** Records the names that Linux has for the ways to reset it, spaces between them. */
    FunctionFacts resetMethods(String methods, Source source) {
        return record(RESET_METHODS, methods, source);
    }

    FunctionFacts vendorId(int id, Source source) {
        return record(VENDOR, id, source);
    }

    FunctionFacts deviceId(int id, Source source) {
        return record(DEVICE, id, source);
    }

    FunctionFacts classCode(int code, Source source) {
        return record(CLASS_CODE, code, source);
    }

    FunctionFacts bridge(PciAddress above, Source source) {
        return record(BRIDGE, above, source);
    }

    FunctionFacts physicalFunction(PciAddress physical, Source source) {
        return record(PHYSICAL, physical, source);
    }

    /** Records that it is on a root bus. */
    FunctionFacts onRootBus(Source source) {
        return record(ON_ROOT_BUS, true, source);
    }

    FunctionFacts name(String name, Source source) {
        return record(NAME, name, source);
    }

    FunctionFacts className(String name, Source source) {
        return record(CLASS_NAME, name, source);
    }

    private static String hex(int value) {
        return String.format("%04x", value);
    }

    private <T> FunctionFacts record(Key<T> key, T value, Source source) {
        facts.record(key, value, source);
        return this;
    }

    /** Of what inputs read of configuration space that which knows most, unless what decides in it is not believed. */
    private Optional<ConfigReading> reading() {
        ConfigReading best = null;
        for (ConfigReading reading : readings) {
            if (reading.isBelieved(facts) && (best == null || reading.isBetterThan(best))) {
                best = reading;
            }
        }
        return Optional.ofNullable(best);
    }

    Optional<Fact<byte[]>> config() {
        return reading().map(ConfigReading::bytes);
    }

    ConfigKnowledge knowledge() {
        return reading().map(ConfigReading::knowledge).orElse(ConfigKnowledge.NONE);
    }

    boolean reconstructed() {
        return reading().filter(ConfigReading::reconstructed).isPresent();
    }

    /** Returns the number of its group; empty also where it is in none. */
    Optional<Fact<Integer>> group() {
        return facts.find(GROUP).filter(group -> group.value() != NO_GROUP);
    }

    boolean isInNoGroup() {
        return facts.value(GROUP).filter(group -> group == NO_GROUP).isPresent();
    }

    /** Returns the groups of which it is not known whether it is in them. */
    List<Integer> groupsInQuestion() {
        return facts.contradicted(GROUP);
    }

    /** Returns the most believed input that has it in a group, whichever. */
    Optional<Source> inGroupBy() {
        return groupsInQuestion().contains(NO_GROUP) || isInNoGroup() ? Optional.empty() : facts.source(GROUP);
    }

    Optional<Fact<String>> unit() {
        return facts.find(UNIT);
    }

    Optional<Fact<String>> driver() {
        return facts.find(DRIVER);
    }

    Optional<Fact<Boolean>> noSnoop() {
        return facts.find(NO_SNOOP);
    }

    Optional<Fact<Boolean>> resetsItself() {
        return facts.find(RESETS_ITSELF);
    }

    Optional<Fact<String>> resetMethods() {
        return facts.find(RESET_METHODS);
    }

    Optional<Fact<Integer>> deviceControl() {
        return facts.find(DEVICE_CONTROL);
    }

    Optional<Fact<Integer>> vendorId() {
        return facts.find(VENDOR);
    }

    Optional<Fact<Integer>> deviceId() {
        return facts.find(DEVICE);
    }

    Optional<Fact<Integer>> classCode() {
        return facts.find(CLASS_CODE);
    }

    Optional<Fact<PciAddress>> bridge() {
        return facts.find(BRIDGE);
    }

    Optional<Fact<PciAddress>> physicalFunction() {
        return facts.find(PHYSICAL);
    }

    boolean isOnRootBus() {
        return facts.value(ON_ROOT_BUS).orElse(false);
    }

    Optional<Fact<String>> name() {
        return facts.find(NAME);
    }

    Optional<Fact<String>> className() {
        return facts.find(CLASS_NAME);
    }

    /** Returns the first bus below this bridge, or empty when it is none or nothing is known of it. */
    OptionalInt secondaryBus() {
        return reading().map(ConfigReading::secondaryBus).orElse(OptionalInt.empty());
    }

    /** Returns the last bus below this bridge. */
    int subordinateBus() {
        return reading().map(ConfigReading::subordinateBus).orElse(0);
    }

    /** Reports the contradictions between inputs, one line each. */
    void contradictions(Consumer<String> lines) {
        facts.contradictions(found -> lines.accept(found.line()));
    }
}
