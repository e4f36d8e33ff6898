// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

import java.util.Optional;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.pci.PciTopology;
import org.iommu4j.vfio.iommufd.DmaBuf;
import org.jspecify.annotations.Nullable;

/**
 * A PCI function in the hands of vfio-pci: its user sees the configuration space, and may write part of it.
 *
 * <p>Of what can be written, Command, Device Control and Device Control 2 are modelled; other writes have no effect. A
 * user may set and clear Enable No Snoop. Under VFIO's lock. Source: {@code vfio_pci_core_enable}, {@code
 * vfio_pci_core_disable}, {@code init_pci_cap_exp_perm}.
 */
final class VfioPciFunction {
    private static final int COMMAND = 0x04;
    private static final int COMMAND_IO = 1;
    private static final int COMMAND_MEMORY = 1 << 1;
    private static final int COMMAND_BUS_MASTER = 1 << 2;

    private static final int CAPABILITY_POWER_MANAGEMENT = 0x01;
    private static final int PMCSR = 4;
    private static final int NO_SOFT_RESET = 1 << 3;
    private static final int CAPABILITY_EXPRESS = 0x10;
    private static final int DEVICE_CAPABILITIES = 4;
    private static final int FUNCTION_LEVEL_RESET_CAPABLE = 1 << 28;
    private static final int DEVICE_CONTROL = 8;
    private static final int DEVICE_CONTROL_2 = 0x28;
    private static final int CAPABILITY_ADVANCED_FEATURES = 0x13;
    private static final int ADVANCED_FEATURES = 3;
    private static final int ADVANCED_FEATURES_RESET = 1 << 1;

    /** Device Control: Max_Payload_Size and Initiate Function Level Reset, which a user writes to a copy. */
    private static final int COPIED = 0x80e0;

    private static final int INITIATE_FUNCTION_LEVEL_RESET = 1 << 15;

    /** Device Control: Phantom Functions Enable, which would confuse an IOMMU. */
    private static final int PHANTOM_FUNCTIONS = 1 << 9;

    /** Device Control 2: ARI Forwarding Enable. */
    private static final int ARI_FORWARDING = 1 << 5;

    private final PciFunction function;
    private final PciTopology topology;
    private int copied;
    private int savedCommand;
    private int savedDeviceControl;
    private int savedDeviceControl2;

    /** What its base address registers open; they are sized when the function is registered. */
    final PciRegions regions;

    /** Its dma-bufs. */
    final DmaBufExports exports = new DmaBufExports();

    VfioPciFunction(PciFunction function, PciTopology topology) {
        this.function = function;
        this.topology = topology;
        this.regions = new PciRegions(function.config());
    }

    /** Returns whether it is a virtual function. */
    boolean isVirtual() {
        return function.physicalFunction().isPresent();
    }

    /** Returns whether its memory answers; a virtual function's always does. */
    boolean answers() {
        return isVirtual() || (config().read(COMMAND, 2) & COMMAND_MEMORY) != 0;
    }

    VfioInterruptInfo interruptInfo(int index, boolean growing) {
        return PciInterrupts.info(config(), index, isVirtual(), growing);
    }

    /**
     * Resets it.
     *
     * @throws IommuException EINVAL (there is no way to reset it alone); ETIMEDOUT or EIO as {@link DmaBuf#revoke}: it
     *     is reset nevertheless
     */
    void reset() {
        if (!resets()) {
            throw new IommuException(Errno.EINVAL, function.address() + " can't be reset alone");
        }
        RuntimeException failure = exports.revoke();
        restoreExports();
        if (failure != null) {
            throw failure;
        }
    }

    private void restoreExports() {
        if (answers()) {
            exports.restore();
        }
    }

    private ConfigSpace config() {
        return function.config();
    }

    private int express() {
        return config().findCapability(CAPABILITY_EXPRESS);
    }

    /**
     * The device is opened for the first time: it decodes its addresses, and sends nothing until its user has it do so.
     */
    void enable() {
        int command = config().read(COMMAND, 2) & ~COMMAND_BUS_MASTER;
        for (int bar = 0; bar < PciRegions.BARS; bar++) {
            int value = config().read(PciRegions.REGISTERS + 4 * bar, 4);
            if (value != 0) {
                command |= (value & 1) != 0 ? COMMAND_IO : COMMAND_MEMORY;
            }
            if (PciRegions.isWide(value)) {
                bar++; // the upper half of an address says nothing of its kind
            }
        }
        config().write(COMMAND, 2, command);
        savedCommand = config().read(COMMAND, 2);
        int express = express();
        if (express != 0) {
            savedDeviceControl = config().read(express + DEVICE_CONTROL, 2);
            savedDeviceControl2 = config().read(express + DEVICE_CONTROL_2, 2);
            copied = savedDeviceControl & COPIED;
        }
    }

    /**
     * The device is closed for the last time: its controls are what they were when it was opened; it sends nothing.
     *
     * @return a failure to unmap its dma-bufs, or null
     */
    @Nullable
    RuntimeException disable() {
        RuntimeException failure = exports.end();
        config().write(COMMAND, 2, savedCommand);
        int express = express();
        if (express != 0) {
            config().write(express + DEVICE_CONTROL, 2, savedDeviceControl);
            config().write(express + DEVICE_CONTROL_2, 2, savedDeviceControl2);
        }
        return failure;
    }

    int size() {
        return config().size();
    }

    int read(int offset, int bytes) {
        int value = config().read(offset, bytes);
        int express = express();
        if (express == 0) {
            return value;
        }
        int shift = 8 * (offset - (express + DEVICE_CONTROL));
        if (shift <= -8 * bytes || shift >= 16) {
            return value;
        }
        int mask = moved(COPIED, shift);
        return (value & ~mask) | (moved(copied, shift) & mask & upTo(bytes));
    }

    private static int moved(int bits, int shift) {
        return shift >= 0 ? bits >>> shift : bits << -shift;
    }

    private static int upTo(int bytes) {
        return bytes == 4 ? -1 : (1 << (8 * bytes)) - 1;
    }

    /**
     * Writes what of it a user may write. While its memory does not answer, and by a Function Level Reset, its dma-bufs
     * are revoked.
     *
     * @throws IommuException ETIMEDOUT or EIO as {@link DmaBuf#revoke}: it is written nevertheless
     */
    void write(int offset, int bytes, int value) {
        int express = express();
        RuntimeException failure = null;
        for (int at = offset & ~1; at < offset + bytes; at += 2) {
            boolean command = at == COMMAND;
            boolean control = express != 0 && at == express + DEVICE_CONTROL;
            boolean control2 = express != 0 && at == express + DEVICE_CONTROL_2;
            if (!command && !control && !control2) {
                continue;
            }
            int old = read(at, 2);
            int word = 0;
            for (int i = 0; i < 2; i++) {
                int from = at + i - offset;
                int part = from >= 0 && from < bytes ? value >>> (8 * from) : old >>> (8 * i);
                word |= (part & 0xff) << (8 * i);
            }
            if ((command && (word & COMMAND_MEMORY) == 0)
                    || (control && (word & INITIATE_FUNCTION_LEVEL_RESET) != 0 && hasFunctionLevelReset())) {
                failure = exports.revoke();
            }
            if (control) {
                copied = word & COPIED & ~INITIATE_FUNCTION_LEVEL_RESET;
                int kept = COPIED | PHANTOM_FUNCTIONS;
                word = (word & ~kept) | (config().read(at, 2) & kept);
            } else if (control2) {
                word = (word & ~ARI_FORWARDING) | (config().read(at, 2) & ARI_FORWARDING);
            }
            config().write(at, 2, word);
        }
        restoreExports();
        if (failure != null) {
            throw failure;
        }
    }

    private boolean hasFunctionLevelReset() {
        int express = express();
        return express != 0 && (config().read(express + DEVICE_CAPABILITIES, 4) & FUNCTION_LEVEL_RESET_CAPABLE) != 0;
    }

    /**
     * Returns whether the kernel knows a way to reset the function alone. Source: {@code pci_probe_reset_function}
     * and the methods that every device may have.
     */
    boolean resets() {
        int advanced = config().findCapability(CAPABILITY_ADVANCED_FEATURES);
        int power = config().findCapability(CAPABILITY_POWER_MANAGEMENT);
        return hasFunctionLevelReset()
                || (advanced != 0 && (config().read(advanced + ADVANCED_FEATURES, 1) & ADVANCED_FEATURES_RESET) != 0)
                || (power != 0 && (config().read(power + PMCSR, 2) & NO_SOFT_RESET) == 0)
                || aloneOnItsBus();
    }

    /** The bus below a bridge can be reset, but not a root bus. */
    private boolean aloneOnItsBus() {
        Optional<PciAddress> bridge = function.upstreamBridge();
        return bridge.isPresent()
                && topology.functions().stream()
                        .allMatch(other -> other.address().equals(function.address())
                                || !other.upstreamBridge().equals(bridge));
    }
}
