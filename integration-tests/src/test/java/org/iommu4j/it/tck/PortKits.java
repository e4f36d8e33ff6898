// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.tck;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import org.iommu4j.LinuxRelease;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.ProcessMemory;
import org.iommu4j.platform.RegisterSpace;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.platform.Waiter;
import org.iommu4j.platform.support.FirmwareBytes;
import org.iommu4j.platform.support.FlatMemory;
import org.iommu4j.platform.support.FramePool;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.machine.UserProcess;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.sim.pcie.SimulatedFunction;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.vtd.VtdUnitProvider;
import org.iommu4j.tck.ConfigSpaceConformance;
import org.iommu4j.tck.FirmwareTablesConformance;
import org.iommu4j.tck.FrameAllocatorConformance;
import org.iommu4j.tck.ProcessMemoryConformance;
import org.iommu4j.tck.RegisterSpaceConformance;
import org.iommu4j.tck.SystemMemoryConformance;
import org.iommu4j.tck.WaiterConformance;

/** The kits of ports, on good ports that a saboteur has been at. Run by {@link PortKitSaboteursTest} only. */
final class PortKits {
    /** Inherited by the threads that the kit runs tests in. */
    private static final ThreadLocal<PortSabotage> SABOTAGE = new InheritableThreadLocal<>() {
        @Override
        protected PortSabotage initialValue() {
            return PortSabotage.NONE;
        }
    };

    private PortKits() {}

    /** Runs something while the ports of the tests below are broken. */
    static void with(PortSabotage sabotage, Runnable run) {
        SABOTAGE.set(sabotage);
        try {
            run.run();
        } finally {
            SABOTAGE.remove();
        }
    }

    /** Returns an index of all kits. */
    static KitIndex index() {
        return new KitIndex(
                Memory.class,
                CachedMemory.class,
                Frames.class,
                RegisterWindows.class,
                WideRegisterWindows.class,
                Waiting.class,
                Tables.class,
                Config.class,
                UserMemory.class);
    }

    private static Machine machine() {
        return new MachineFactory(List.of(new VtdUnitProvider()))
                .createFlat(VtdUnitProvider.machine(
                        "ports", VtdUnitProvider.CAP_4_LEVEL, VtdUnitProvider.ECAP_SNOOP_CONTROL));
    }

    /** Of memory. */
    static class Memory extends SystemMemoryConformance {
        @Override
        protected SystemMemory newMemory(long bytes) {
            return SABOTAGE.get().of(SystemMemory.class, new FlatMemory(bytes));
        }
    }

    /** Of memory behind a CPU's caches. */
    static class CachedMemory extends SystemMemoryConformance {
        private Machine machine = machine();

        @Override
        protected SystemMemory newMemory(long bytes) {
            MachineDescription like = machine.description();
            machine = new MachineFactory(List.of())
                    .create(new MachineDescription(
                            like.name(),
                            like.processors(),
                            bytes,
                            List.of(),
                            List.of(),
                            like.acpiTables(),
                            like.bootOptions()));
            return SABOTAGE.get().of(SystemMemory.class, machine.memory(0));
        }

        @Override
        protected long unsnooped(SystemMemory memory, long physicalAddress) {
            return machine.peekDram(physicalAddress);
        }

        @Override
        protected boolean isShared() {
            return false;
        }
    }

    /** Of frames. */
    static class Frames extends FrameAllocatorConformance {
        @Override
        protected FrameAllocator newFrames(int atLeast) {
            return SABOTAGE.get().of(FrameAllocator.class, new FramePool(0x123000, (atLeast + 0x800) * 4096L));
        }
    }

    /** Of registers, which are an array. */
    static class RegisterWindows extends RegisterSpaceConformance {
        @Override
        protected Registers newRegisters() {
            RegisterArray array = new RegisterArray();
            return new Registers(
                    SABOTAGE.get().of(array),
                    SABOTAGE.get().of(array),
                    RegisterArray.BASE,
                    RegisterArray.SIZE,
                    RegisterArray.READ_ONLY,
                    RegisterArray.READ_ONLY_VALUE,
                    RegisterArray.WRITABLE,
                    -1L,
                    true,
                    true,
                    true,
                    OptionalLong.of(0x1000),
                    Optional.of(SABOTAGE.get().of(RegisterWindow.class, array.gone())));
        }
    }

    /** Of registers of 32 and 64 bits. */
    static class WideRegisterWindows extends RegisterSpaceConformance {
        @Override
        protected Registers newRegisters() {
            RegisterArray array = new RegisterArray();
            RegisterSpace wide = (base, size) -> new WideWindow(array.map(base, size));
            return new Registers(
                    SABOTAGE.get().of(wide),
                    SABOTAGE.get().of(wide),
                    RegisterArray.BASE,
                    RegisterArray.SIZE,
                    RegisterArray.READ_ONLY,
                    RegisterArray.READ_ONLY_VALUE,
                    RegisterArray.WRITABLE,
                    -1L,
                    false,
                    false,
                    true,
                    OptionalLong.of(0x1000),
                    Optional.empty());
        }
    }

    /** Refuses accesses of 8 and 16 bits, as the interface does of itself. */
    private record WideWindow(RegisterWindow window) implements RegisterWindow {
        @Override
        public int read32(int offset) {
            return window.read32(offset);
        }

        @Override
        public long read64(int offset) {
            return window.read64(offset);
        }

        @Override
        public void write32(int offset, int value) {
            window.write32(offset, value);
        }

        @Override
        public void write64(int offset, long value) {
            window.write64(offset, value);
        }

        @Override
        public void release() {
            window.release();
        }
    }

    /** Of waiting. */
    static class Waiting extends WaiterConformance {
        @Override
        protected Waiter newWaiter() {
            return SABOTAGE.get().of(Waiter.class, machine().waiter());
        }

        @Override
        protected Pending newPending() {
            Machine machine = machine();
            RegisterWindow window =
                    SABOTAGE.get().of(RegisterWindow.class, machine.registers().map(0xfed90000L, 0x1000));
            window.write64(0x20, 0x100000);
            window.write32(0x18, 1 << 30);
            return new Pending(
                    SABOTAGE.get().of(Waiter.class, machine.waiter()), () -> (window.read32(0x1c) & 1 << 30) != 0);
        }
    }

    /** Of tables. */
    static class Tables extends FirmwareTablesConformance {
        @Override
        protected FirmwareTables newTables(Map<String, byte[]> tables) {
            return SABOTAGE.get()
                    .of(
                            FirmwareTables.class,
                            signature ->
                                    Optional.ofNullable(tables.get(signature)).map(byte[]::clone));
        }

        @Override
        protected Optional<FirmwareTables> newTree(byte[] deviceTree) {
            return Optional.of(
                    SABOTAGE.get().of(FirmwareTables.class, new FirmwareBytes(Map.of(), Optional.of(deviceTree))));
        }
    }

    /** Of configuration space. */
    static class Config extends ConfigSpaceConformance {
        @Override
        protected ConfigSpace newConfigSpace() {
            return SABOTAGE.get()
                    .of(
                            ConfigSpace.class,
                            machine()
                                    .vendorContext(LinuxRelease.NEWEST)
                                    .topology()
                                    .function(BuiltInTopology.GPU)
                                    .orElseThrow()
                                    .config());
        }

        @Override
        protected ConfigSpace newConfigSpace(byte[] bytes) {
            return SABOTAGE.get()
                    .of(
                            ConfigSpace.class,
                            new SimulatedFunction(new FunctionDescription(
                                            BuiltInTopology.GPU, Optional.empty(), bytes, Optional.empty(), false))
                                    .config());
        }
    }

    /** Of a user's memory. */
    static class UserMemory extends ProcessMemoryConformance {
        @Override
        protected ProcessMemory newProcess(long memlockPages, boolean capIpcLock) {
            UserProcess process = machine().newProcess(memlockPages, capIpcLock);
            process.allocate(WRITABLE, PAGES, true);
            process.allocate(READ_ONLY, PAGES, false);
            return SABOTAGE.get().of(ProcessMemory.class, process);
        }
    }
}
