// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import org.iommu4j.DomainType;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.platform.Waiter;
import org.iommu4j.platform.support.FirmwareBytes;
import org.iommu4j.platform.support.FlatMemory;
import org.iommu4j.platform.support.FramePool;
import org.iommu4j.riscv.acpi.RimtBytes;
import org.iommu4j.riscv.acpi.RimtBytes.Mapping;
import org.iommu4j.riscv.dt.TreeBytes;
import org.iommu4j.spi.BootOptions;
import org.iommu4j.spi.VendorContext;

/** The driver over flat memory and a {@link UnitDouble}; its devices are not on PCI. */
final class Bench {
    static final long BASE = 0x3010000L;
    static final NamedDevice FIRST = new NamedDevice("\\_SB.DMA0");
    static final NamedDevice SECOND = new NamedDevice("\\_SB.DMA1");
    static final long FIRST_ID = 0x12345;
    static final long SECOND_ID = 0x40;
    static final long PAGE = 4096;

    /** Reads, and in bit 62 also writes: see {@link Walk#translate}. */
    static final long WRITABLE = 1L << 62;

    final FlatMemory memory = new FlatMemory(64 << 20);
    final FramePool frames = new FramePool(1 << 20, 63 << 20);
    final UnitDouble unit;
    final RiscvIommu iommu;
    final Waiter waiter = (condition, ticks) -> condition.getAsBoolean();

    Bench(String release, long capabilities) {
        this(release, new Settings(capabilities), "");
    }

    /** What a unit is before it is opened. */
    static final class Settings {
        final long capabilities;
        Consumer<UnitDouble> unit = any -> {};
        int wires = 4;
        boolean tree;
        boolean messages = true;

        Settings(long capabilities) {
            this.capabilities = capabilities;
        }

        Settings wires(int count) {
            wires = count;
            return this;
        }

        /** Has firmware have a device tree in place of RIMT, and perhaps no controller of messages. */
        Settings tree(boolean withMessages) {
            tree = true;
            messages = withMessages;
            return this;
        }

        Settings with(Consumer<UnitDouble> change) {
            unit = change;
            return this;
        }
    }

    Bench(String release, Settings settings, String commandLine) {
        unit = new UnitDouble(BASE, settings.capabilities, memory);
        settings.unit.accept(unit);
        FirmwareTables firmware = settings.tree
                ? new FirmwareBytes(Map.of(), Optional.of(tree(settings)))
                : new FirmwareBytes(Map.of("RIMT", rimt(settings)), Optional.empty());
        LinuxRelease linux = LinuxRelease.of(release);
        try {
            iommu = RiscvIommu.open(
                    new VendorContext(
                            memory, frames, unit, waiter, firmware, List::of, new BootOptions(commandLine), linux),
                    RiscvRules.of(linux));
        } catch (IommuException e) {
            if (frames.inUse() != 0 && !unit.stuck) {
                throw new AssertionError(frames.inUse() + " frames have leaked", e);
            }
            throw e;
        }
    }

    private static byte[] rimt(Settings settings) {
        RimtBytes rimt = new RimtBytes();
        int node = rimt.next();
        return rimt.unit("RSCV0004", BASE, settings.wires)
                .platformDevice(FIRST.name(), new Mapping(0, 1, (int) FIRST_ID, node))
                .platformDevice(SECOND.name(), new Mapping(0, 1, (int) SECOND_ID, node))
                .table();
    }

    private static byte[] tree(Settings settings) {
        TreeBytes tree =
                Hosts.controllers(new TreeBytes().words("#address-cells", 2).words("#size-cells", 2));
        return Hosts.unit(tree, BASE, settings.wires, settings.messages).end().tree();
    }

    IommuDevice device(NamedDevice name) {
        return iommu.probe(name).orElseThrow();
    }

    /** Returns a new domain with a table, which the device is attached to. */
    IommuDomain attached(NamedDevice name) {
        IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device(name));
        domain.attach(device(name));
        return domain;
    }

    /** Walks as the unit would. */
    long walk(long id, long iova) {
        return Walk.translate(unit.get(0), unit.get(16), memory::load, id, iova);
    }

    /** Returns the entry at which the walk of an address ends, from the context of the first device on. */
    long leaf(IommuDomain domain, long iova) {
        PagingDomain paging = (PagingDomain) domain;
        long firstStage = paging.firstStage();
        long table = (firstStage & 0xfffffffffffL) << 12;
        for (int level = (int) (firstStage >>> 60) - 6; ; level--) {
            long entry = memory.load(table + 8 * (iova >>> (12 + 9 * level) & 511));
            if (level == 0 || (entry & 0xe) != 0 || (entry & 1) == 0) {
                return entry;
            }
            table = (entry >>> 10 & 0xfffffffffffL) << 12;
        }
    }
}
