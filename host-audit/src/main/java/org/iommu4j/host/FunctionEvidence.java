// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.util.Optional;
import java.util.OptionalInt;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.spi.Answer;

/**
 * The known facts about a PCI function; each may be unknown.
 *
 * <p>As a {@link PciFunction} it shows what is known: where {@link #knowledge} is less than
 * {@link ConfigKnowledge#ALL}, a capability that is not found may be there all the same.
 */
public final class FunctionEvidence implements PciFunction {
    private static final int BRIDGE_CLASS = 0x0604;
    private static final int CARDBUS_CLASS = 0x0607;

    /** "Does not fit in any defined class", with the subclass of nothing that is there. */
    private static final int UNKNOWN_CLASS = 0xffff;

    private final PciAddress address;
    private final Optional<PciAddress> upstreamBridge;
    private final boolean placed;
    private final FunctionFacts facts;
    private final Optional<PciAddress> physicalFunction;
    private final Optional<FunctionFacts> deviceFacts;
    private final KnownConfig config;

    /**
     * Gathers what was found.
     *
     * @param upstreamBridge the bridge above
     * @param placed whether it is known which bridge is above, or that none is
     */
    FunctionEvidence(FunctionFacts facts, Optional<PciAddress> upstreamBridge, boolean placed) {
        this(facts, upstreamBridge, placed, Optional.empty(), Optional.of(facts));
    }

    /**
     * Gathers what was found of a function that may be a virtual one.
     *
     * @param physicalFunction the function that it is a virtual one of
     * @param deviceFacts what was found of that one, of itself where it is none; empty where nothing was
     */
    FunctionEvidence(
            FunctionFacts facts,
            Optional<PciAddress> upstreamBridge,
            boolean placed,
            Optional<PciAddress> physicalFunction,
            Optional<FunctionFacts> deviceFacts) {
        this.address = facts.address();
        this.upstreamBridge = upstreamBridge;
        this.placed = placed;
        this.facts = facts;
        this.physicalFunction = physicalFunction;
        this.deviceFacts = deviceFacts;
        byte[] bytes = facts.config().map(Fact::value).orElse(new byte[0]);
        this.config = bytes.length == 0 || facts.reconstructed()
                ? new KnownConfig(bytes, number(facts.classCode()).orElse(UNKNOWN_CLASS))
                : new KnownConfig(bytes);
    }

    @Override
    public PciAddress address() {
        return address;
    }

    @Override
    public Optional<PciAddress> upstreamBridge() {
        return upstreamBridge;
    }

    @Override
    public Optional<PciAddress> physicalFunction() {
        return physicalFunction;
    }

    /** Returns whether it is known which bridge is above, or that none is. */
    @Override
    public boolean placed() {
        return placed;
    }

    @Override
    public ConfigSpace config() {
        return config;
    }

    /** Returns the configuration space's bytes: 0, 64, 256 or 4096 of them. */
    public byte[] configBytes() {
        return config.bytes();
    }

    /** Returns how much of the configuration space is known. */
    public ConfigKnowledge knowledge() {
        return facts.knowledge();
    }

    /** Returns the input that configuration space comes from. */
    public Optional<String> configSource() {
        return facts.config().map(Fact::source);
    }

    /**
     * Returns whether the configuration space was put together from text that describes it, and so holds only header
     * type, bus numbers, ids, class and the capabilities that decide about groups and no-snoop.
     */
    public boolean reconstructed() {
        return facts.reconstructed();
    }

    /** Returns the vendor id, 16 bits. */
    public OptionalInt vendorId() {
        return number(facts.vendorId());
    }

    /** Returns the device id, 16 bits. */
    public OptionalInt deviceId() {
        return number(facts.deviceId());
    }

    /** Returns vendor and device id as {@code vfio-pci.ids} takes them: {@code 10de:2805}. */
    public Optional<String> ids() {
        return vendorId().isPresent() && deviceId().isPresent()
                ? Optional.of(String.format(
                        "%04x:%04x", vendorId().getAsInt(), deviceId().getAsInt()))
                : Optional.empty();
    }

    /** Returns base class and subclass, 16 bits: 0x0300 is a VGA controller. */
    public OptionalInt classCode() {
        return number(facts.classCode());
    }

    /** Returns what the class is called, when an input names it: {@code VGA compatible controller}. */
    public Optional<String> className() {
        return facts.className().map(Fact::value);
    }

    /** Returns what the device is called, when an input names it. */
    public Optional<String> name() {
        return facts.name().map(Fact::value);
    }

    /** Returns whether it is a bridge to another bus. */
    public Answer bridge() {
        if (config.size() > 0) {
            return Answer.of(config.headerLayout() != 0);
        }
        OptionalInt code = classCode();
        return code.isPresent()
                ? Answer.of(code.getAsInt() == BRIDGE_CLASS || code.getAsInt() == CARDBUS_CLASS)
                : Answer.UNKNOWN;
    }

    /** Returns whether it has a PCI Express capability. */
    public Answer pciExpress() {
        return knowledge().capabilities()
                ? Answer.of(config.findCapability(ConfigSpace.CAPABILITY_PCI_EXPRESS) != 0)
                : Answer.UNKNOWN;
    }

    /**
     * Returns the Device Control register of the PCI Express capability, 16 bits, when there is one and its hex was
     * read.
     */
    public OptionalInt deviceControl() {
        return number(facts.deviceControl());
    }

    /**
     * Returns Enable No Snoop, Device Control bit 11: of a virtual function that of its physical one, for its own is
     * reserved.
     *
     * <p>A function without a PCI Express capability has no such bit: UNKNOWN, with {@link #pciExpress} NO.
     */
    public Answer noSnoopEnabled() {
        return deviceFacts
                .flatMap(FunctionFacts::noSnoop)
                .map(Fact::value)
                .map(Answer::of)
                .orElse(Answer.UNKNOWN);
    }

    /** Returns whether it can be reset by itself, by its capabilities (FLR). */
    public Answer functionLevelReset() {
        return facts.resetsItself().map(Fact::value).map(Answer::of).orElse(Answer.UNKNOWN);
    }

    /**
     * Returns the names that the host's own Linux has for the ways to reset it, such as {@code flr bus}; empty text
     * where it has none.
     */
    public Optional<Fact<String>> resetMethods() {
        return facts.resetMethods();
    }

    /** Returns the number of its IOMMU group in the host's own Linux. */
    public Optional<Fact<Integer>> group() {
        return facts.group();
    }

    /**
     * Returns whether it is in a group in the host's own Linux; a listing of some groups does not show that it is in
     * none.
     */
    public Answer grouped() {
        if (facts.group().isPresent()) {
            return Answer.YES;
        }
        return facts.isInNoGroup() ? Answer.NO : Answer.UNKNOWN;
    }

    /** Returns the unit that translates for it by the host's own Linux, for example {@code dmar0}. */
    public Optional<Fact<String>> unit() {
        return facts.unit();
    }

    /** Returns the driver that is bound; an empty name means that none is bound. */
    public Optional<Fact<String>> driver() {
        return facts.driver();
    }

    private static OptionalInt number(Optional<Fact<Integer>> fact) {
        return fact.isPresent() ? OptionalInt.of(fact.get().value()) : OptionalInt.empty();
    }
}
