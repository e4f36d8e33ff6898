// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.core;

import java.util.Arrays;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.jspecify.annotations.Nullable;

/**
 * A PCI function with the bridge above it: its requester ids and isolation, from its configuration space.
 *
 * <p>Offsets and bits: PCI Express Base Specification, sections "PCI Express Capabilities Register" and "ACS Extended
 * Capability"; PCI-to-PCI bridge header.
 */
final class PciNode {
    /** The services that a port needs to isolate its devices: Linux's {@code REQ_ACS_FLAGS}. */
    static final int ACS_REQUIRED = PciNode.ACS_SOURCE_VALIDATION
            | PciNode.ACS_REQUEST_REDIRECT
            | PciNode.ACS_COMPLETION_REDIRECT
            | PciNode.ACS_UPSTREAM_FORWARDING;

    private static final int ACS_SOURCE_VALIDATION = 0x01;
    private static final int ACS_TRANSLATION_BLOCKING = 0x02;
    private static final int ACS_REQUEST_REDIRECT = 0x04;
    private static final int ACS_COMPLETION_REDIRECT = 0x08;
    private static final int ACS_UPSTREAM_FORWARDING = 0x10;
    private static final int ACS_CAPABILITY = 4;

    /** The device/port types of the PCI Express Capabilities register that matter here. */
    enum Kind {
        /** No PCI Express capability: PCI or PCI-X. */
        CONVENTIONAL,
        ENDPOINT,
        LEGACY_ENDPOINT,
        ROOT_PORT,
        UPSTREAM_PORT,
        DOWNSTREAM_PORT,
        /** From PCI Express down to PCI. */
        PCIE_TO_PCI_BRIDGE,
        /** From PCI down to PCI Express. */
        PCI_TO_PCIE_BRIDGE,
        ROOT_COMPLEX_ENDPOINT,
        ROOT_COMPLEX_EVENT_COLLECTOR,
        /** A type that the specification does not define. */
        OTHER
    }

    private final PciFunction function;
    private final @Nullable PciNode bridge;
    private final Kind kind;
    private final boolean multiFunction;
    private final int acs;
    private final int acsControl;
    private boolean acsAssumed;

    PciNode(PciFunction function, @Nullable PciNode bridge) {
        this.function = function;
        this.bridge = bridge;
        ConfigSpace config = function.config();
        this.kind = kind(config);
        this.multiFunction = function.physicalFunction().isEmpty()
                && (function.address().function() > 0 || config.isMultiFunction());
        this.acs = kind == Kind.CONVENTIONAL ? 0 : config.findExtendedCapability(ConfigSpace.EXTENDED_CAPABILITY_ACS);
        this.acsControl = acs + AcsQuirks.controlOffset(kind, config);
    }

    PciFunction function() {
        return function;
    }

    PciAddress address() {
        return function.address();
    }

    /** Returns the bridge above, null on a root bus. */
    @Nullable
    PciNode bridge() {
        return bridge;
    }

    Kind kind() {
        return kind;
    }

    /** Returns whether the device has several functions; a virtual function is a device of its own. */
    boolean multiFunction() {
        return multiFunction;
    }

    boolean sameSlot(PciNode other) {
        return address().segment() == other.address().segment()
                && address().bus() == other.address().bus()
                && address().device() == other.address().device();
    }

    boolean untrusted() {
        return bridge != null && (bridge.function.externalFacing() || bridge.untrusted());
    }

    /**
     * Returns the requester ids that this function's requests may carry, its own first.
     *
     * <p>A bridge from PCI Express to PCI takes over requests with the id of its secondary bus, device 0, function 0. A
     * bridge between conventional buses, or from PCI to PCI Express, uses its own id. Ports and switches keep the id.
     * Source: {@code pci_for_each_dma_alias}.
     */
    int[] dmaAliases() {
        int[] aliases = new int[] {address().requesterId()};
        for (PciNode above = bridge; above != null; above = above.bridge) {
            if (above.takesOverRequests()) {
                aliases = withAlias(aliases, above.takenOverAs());
            }
        }
        return aliases;
    }

    /** Returns whether requests from below this bridge lose their own id. */
    boolean takesOverRequests() {
        return switch (kind) {
            case CONVENTIONAL, PCIE_TO_PCI_BRIDGE, PCI_TO_PCIE_BRIDGE -> true;
            case ENDPOINT,
                    LEGACY_ENDPOINT,
                    ROOT_PORT,
                    UPSTREAM_PORT,
                    DOWNSTREAM_PORT,
                    ROOT_COMPLEX_ENDPOINT,
                    ROOT_COMPLEX_EVENT_COLLECTOR,
                    OTHER -> false;
        };
    }

    /**
     * Returns whether requests between this function and others must pass the IOMMU, in both directions.
     *
     * <p>Conventional PCI shares its bus. The specification forbids ACS in bridges to PCI and in event collectors, so
     * these are taken as not isolated. Root and downstream ports must have ACS; endpoints and upstream ports only when
     * their device has other functions. {@link AcsQuirks} take precedence over all of this. Source: {@code
     * pci_acs_enabled}.
     */
    boolean isolated() {
        return AcsQuirks.isolates(this)
                || switch (kind) {
                    case CONVENTIONAL, PCIE_TO_PCI_BRIDGE, PCI_TO_PCIE_BRIDGE, ROOT_COMPLEX_EVENT_COLLECTOR -> false;
                    case ROOT_PORT, DOWNSTREAM_PORT -> acsOn();
                    case ENDPOINT, LEGACY_ENDPOINT, UPSTREAM_PORT, ROOT_COMPLEX_ENDPOINT -> !multiFunction || acsOn();
                    case OTHER -> true;
                };
    }

    /** Returns whether this function and all bridges above it are isolated. Source: {@code pci_acs_path_enabled}. */
    boolean isolatedUpToRoot() {
        for (PciNode node = this; node != null; node = node.bridge) {
            if (!node.isolated()) {
                return false;
            }
        }
        return true;
    }

    /** Turns on the Access Control Services that the function has. Source: {@code pci_std_enable_acs}. */
    void enableAcs() {
        if (acs == 0) {
            return;
        }
        ConfigSpace config = function.config();
        int control = config.read(acsControl, 2);
        int enabled = enabledFrom(control);
        if (enabled != control) {
            config.write(acsControl, 2, enabled);
        }
    }

    /** Makes later answers assume that {@link #enableAcs} was called; writes nothing. */
    void assumeAcs() {
        acsAssumed = true;
    }

    private int enabledFrom(int control) {
        int wanted = ACS_REQUIRED;
        if (function.externalFacing() || untrusted()) {
            wanted |= ACS_TRANSLATION_BLOCKING;
        }
        return control | (function.config().read(acs + ACS_CAPABILITY, 2) & wanted);
    }

    @Override
    public String toString() {
        return address() + " (" + kind + ")";
    }

    /**
     * A service that is missing in the capability register is taken as hardwired on. Source: {@code
     * pci_acs_flags_enabled}.
     */
    private boolean acsOn() {
        if (acs == 0) {
            return false;
        }
        ConfigSpace config = function.config();
        int needed = ACS_REQUIRED & config.read(acs + ACS_CAPABILITY, 2);
        int control = config.read(acsControl, 2);
        return ((acsAssumed ? enabledFrom(control) : control) & needed) == needed;
    }

    private int takenOverAs() {
        return kind == Kind.PCIE_TO_PCI_BRIDGE
                ? function.config().secondaryBus() << 8
                : address().requesterId();
    }

    private static int[] withAlias(int[] aliases, int alias) {
        for (int known : aliases) {
            if (known == alias) {
                return aliases;
            }
        }
        int[] more = Arrays.copyOf(aliases, aliases.length + 1);
        more[aliases.length] = alias;
        return more;
    }

    private static Kind kind(ConfigSpace config) {
        int express = config.findCapability(ConfigSpace.CAPABILITY_PCI_EXPRESS);
        if (express == 0) {
            return Kind.CONVENTIONAL;
        }
        return switch ((config.read(express + 2, 2) >>> 4) & 0xf) {
            case 0x0 -> Kind.ENDPOINT;
            case 0x1 -> Kind.LEGACY_ENDPOINT;
            case 0x4 -> Kind.ROOT_PORT;
            case 0x5 -> Kind.UPSTREAM_PORT;
            case 0x6 -> Kind.DOWNSTREAM_PORT;
            case 0x7 -> Kind.PCIE_TO_PCI_BRIDGE;
            case 0x8 -> Kind.PCI_TO_PCIE_BRIDGE;
            case 0x9 -> Kind.ROOT_COMPLEX_ENDPOINT;
            case 0xa -> Kind.ROOT_COMPLEX_EVENT_COLLECTOR;
            default -> Kind.OTHER;
        };
    }
}
