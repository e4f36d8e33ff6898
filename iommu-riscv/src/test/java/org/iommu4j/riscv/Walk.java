// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import java.util.HashMap;
import java.util.Map;
import java.util.function.LongUnaryOperator;
import java.util.stream.Collectors;
import org.iommu4j.IommuDomain;
import org.iommu4j.device.DeviceId;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.PlatformDeviceDescription;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.tck.TableWalk;

/**
 * The process to translate an IOVA by the manual, without caches: directory, first stage. Written apart from the driver
 * and from any silicon.
 */
public final class Walk implements TableWalk {
    private static final int INBOUND_DISALLOWED = -256;
    private static final int NOT_VALID = -258;
    private static final int NOT_ALLOWED = -260;
    private static final int PAGE_FAULT = -13;

    private final Map<DeviceId, Long> ids;

    /** Makes a walk for devices with the ids of their requests. */
    private Walk(Map<DeviceId, Long> ids) {
        this.ids = Map.copyOf(ids);
    }

    /** Returns a walk for the devices of a machine. */
    public static Walk of(MachineDescription machine) {
        Map<String, TranslationUnitSpec> units =
                machine.units().stream().collect(Collectors.toMap(TranslationUnitSpec::name, unit -> unit));
        Map<DeviceId, Long> ids = new HashMap<>();
        for (FunctionDescription function : machine.functions()) {
            PciAddress address = function.address();
            function.unit()
                    .ifPresent(unit -> ids.put(
                            address,
                            Integer.toUnsignedLong(
                                    units.get(unit).sourceId(address.segment(), address.requesterId()))));
        }
        for (PlatformDeviceDescription device : machine.platformDevices()) {
            ids.put(device.id(), Integer.toUnsignedLong(device.sourceIds().get(0)));
        }
        return new Walk(ids);
    }

    @Override
    public long translate(RegisterWindow registers, LongUnaryOperator memory, DeviceId device, long iova) {
        long address = translate(registers.read64(0), registers.read64(16), memory, ids.get(device), iova);
        return address < 0 ? IommuDomain.UNMAPPED : address & ~(3L << 62);
    }

    /**
     * Walks from the values of {@code capabilities} and {@code ddtp} on.
     *
     * @return the address, with bit 62 set where it can be written; the cause, less than 0, where it can't be read
     */
    static long translate(long capabilities, long ddtp, LongUnaryOperator memory, long id, long iova) {
        int mode = (int) ddtp & 15;
        if (mode == 1) {
            return iova | 1L << 62;
        }
        int leafBits = (capabilities >>> 22 & 1) != 0 ? 6 : 7;
        int levels = mode - 1;
        if (mode == 0) {
            return INBOUND_DISALLOWED;
        }
        if (id >>> Math.min(24, leafBits + 9 * (levels - 1)) != 0) {
            return NOT_ALLOWED;
        }
        long table = ddtp >>> 10 << 12;
        for (int level = levels - 1; level > 0; level--) {
            long entry = memory.applyAsLong(table + 8 * (id >>> (leafBits + 9 * (level - 1)) & 511));
            if ((entry & 1) == 0) {
                return NOT_VALID;
            }
            table = (entry >>> 10 & 0xfffffffffffL) << 12;
        }
        long context = table + (id & (1 << leafBits) - 1) * (leafBits == 6 ? 64 : 32);
        if ((memory.applyAsLong(context) & 1) == 0) {
            return NOT_VALID;
        }
        long firstStage = memory.applyAsLong(context + 24);
        int kind = (int) (firstStage >>> 60);
        return kind == 0 ? iova | 1L << 62 : walk(memory, (firstStage & 0xfffffffffffL) << 12, kind - 5, iova);
    }

    private static long walk(LongUnaryOperator memory, long root, int levels, long iova) {
        int bits = 12 + 9 * levels;
        if (iova << (64 - bits) >> (64 - bits) != iova) {
            return PAGE_FAULT; // not canonical
        }
        long table = root;
        for (int level = levels - 1; level >= 0; level--) {
            long entry = memory.applyAsLong(table + 8 * (iova >>> (12 + 9 * level) & 511));
            boolean leaf = (entry & 0xe) != 0;
            if ((entry & 1) == 0 || (entry & 6) == 4 || (entry >>> 54 & 0x7f) != 0) {
                return PAGE_FAULT;
            }
            long address = (entry >>> 10 & 0xfffffffffffL) << 12;
            if (!leaf) {
                table = address;
                continue;
            }
            long size = 1L << (12 + 9 * level);
            if (entry < 0) {
                if (level > 0 || (entry >>> 10 & 15) != 8) {
                    return PAGE_FAULT;
                }
                size = 0x10000;
                address &= -size;
            }
            boolean usable = (entry & 0x52) == 0x52 && (address & size - 1) == 0;
            boolean writable = (entry & 0x84) == 0x84;
            return usable ? address | (iova & (size - 1)) | (writable ? 1L << 62 : 0) : PAGE_FAULT;
        }
        return PAGE_FAULT;
    }
}
