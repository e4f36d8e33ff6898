// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.qemu;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.BooleanSupplier;
import org.iommu4j.LinuxRelease;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.pci.PciTopology;
import org.iommu4j.platform.RegisterSpace;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.platform.support.FramePool;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.spi.VendorContext;

/**
 * An emulated machine: the platform's ports over QEMU's qtest socket.
 *
 * <p>What firmware would do is done here: the window of configuration space, the root port's buses, the devices' BARs.
 * Its ACPI tables are those of the {@link MachineDescription}, which takes the unit's capabilities from the registers.
 */
final class QemuMachine implements DmaMachine {
    private static final int CONFIG_ADDRESS = 0xcf8;
    private static final int CONFIG_DATA = 0xcfc;
    /** PCIEXBAR of the host bridge: where configuration space is mapped. */
    private static final int PCIEXBAR = 0x60;

    private static final long ECAM = 0xb0000000L;
    private static final int ECAM_ENABLE = 1;

    private static final int COMMAND = 0x04;
    private static final int HEADER_TYPE = 0x0e;
    private static final int BAR_0 = 0x10;
    private static final int BUS_NUMBERS = 0x18;
    private static final int MEMORY_WINDOW = 0x20;
    private static final int MEMORY_AND_BUS_MASTER = 0x6;
    private static final int IO_MEMORY_AND_BUS_MASTER = 0x7;

    private static final long FIRST_BAR = 0xc0000000L;
    private static final long SECOND_BAR = 0xc0100000L;
    private static final long BELOW_BAR = 0xc1000000L;
    /** 0xc1000000 to 0xc10fffff, for {@link #BELOW_BAR}. */
    private static final int BELOW_WINDOW = 0xc100c100;

    /** What hardware-sim gives the kernel: the first half of memory but for the lowest MiB. */
    private static final long KERNEL_FRAMES = 1L << 20;

    /**
     * QEMU does what a register write asks for before it answers: what it has not done by then it never will. Nothing
     * is left for a wait, so that the kit of waiters has nothing to test here.
     */
    private static final int MOST_POLLS = 100;

    private final Qemu qemu;
    private final QtestSocket qtest;
    private final QemuMemory memory;
    private final FramePool frames = new FramePool(KERNEL_FRAMES, Hardware.MEMORY_BYTES / 2 - KERNEL_FRAMES);
    private final List<PciFunction> functions = new ArrayList<>();
    private final Map<PciAddress, DmaDevice> devices = new TreeMap<>();
    private final MachineDescription description;

    /** Starts the machine, which the lab stops. */
    QemuMachine(QemuLab lab, Hardware hardware) {
        hardware.requireWitness(lab);
        qemu = lab.qemu();
        qtest = lab.start(
                        Hardware.MEMORY_BYTES,
                        List.of(
                                "-device", hardware.option(qemu),
                                "-device", edu("pcie.0", Hardware.FIRST),
                                "-device", edu("pcie.0", Hardware.SECOND),
                                "-device", "pcie-root-port,id=root0,addr=" + slot(Hardware.PORT),
                                "-device", edu("root0", Hardware.BELOW)))
                .qtest();
        memory = new QemuMemory(qtest, Hardware.MEMORY_BYTES);
        initialize();
        description = hardware.describe(registers(), describeFunctions());
    }

    private static String edu(String bus, PciAddress address) {
        return "edu,bus=" + bus + ",addr=" + slot(address) + ",dma_mask=0xffffffffffffffff";
    }

    private static String slot(PciAddress address) {
        return String.format("%02x.%x", address.device(), address.function());
    }

    private void initialize() {
        qtest.out32(CONFIG_ADDRESS, 0x80000000 | PCIEXBAR);
        qtest.out32(CONFIG_DATA, (int) ECAM | ECAM_ENABLE);
        QemuConfigSpace port = new QemuConfigSpace(qtest, ecam(Hardware.PORT), ConfigSpace.EXPRESS_BYTES);
        port.write(BUS_NUMBERS, 4, 1 << 16 | 1 << 8);
        port.write(MEMORY_WINDOW, 4, BELOW_WINDOW);
        port.write(COMMAND, 2, IO_MEMORY_AND_BUS_MASTER);
        start(Hardware.FIRST, FIRST_BAR);
        start(Hardware.SECOND, SECOND_BAR);
        start(Hardware.BELOW, BELOW_BAR);
        findFunctions(0, Optional.empty());
        findFunctions(1, Optional.of(Hardware.PORT));
    }

    private void start(PciAddress address, long bar) {
        QemuConfigSpace config = new QemuConfigSpace(qtest, ecam(address), ConfigSpace.CONVENTIONAL_BYTES);
        config.write(BAR_0, 4, (int) bar);
        config.write(COMMAND, 2, MEMORY_AND_BUS_MASTER);
        devices.put(address, new EduDevice(qtest, qemu + "'s EDU at " + address, bar));
    }

    private void findFunctions(int bus, Optional<PciAddress> bridge) {
        for (int device = 0; device < 32; device++) {
            PciAddress first = new PciAddress(0, bus, device, 0);
            int count = isThere(first)
                            && (new QemuConfigSpace(qtest, ecam(first), ConfigSpace.CONVENTIONAL_BYTES)
                                                    .read(HEADER_TYPE, 1)
                                            & 0x80)
                                    != 0
                    ? 8
                    : 1;
            for (int function = 0; function < count; function++) {
                PciAddress address = new PciAddress(0, bus, device, function);
                if (isThere(address)) {
                    functions.add(function(address, bridge));
                }
            }
        }
    }

    private boolean isThere(PciAddress address) {
        return qtest.read32(ecam(address)) != -1;
    }

    private PciFunction function(PciAddress address, Optional<PciAddress> bridge) {
        ConfigSpace conventional = new QemuConfigSpace(qtest, ecam(address), ConfigSpace.CONVENTIONAL_BYTES);
        boolean express = conventional.findCapability(ConfigSpace.CAPABILITY_PCI_EXPRESS) != 0;
        return new QemuFunction(
                address,
                bridge,
                new QemuConfigSpace(
                        qtest, ecam(address), express ? ConfigSpace.EXPRESS_BYTES : ConfigSpace.CONVENTIONAL_BYTES));
    }

    private static long ecam(PciAddress address) {
        return ECAM + ((long) address.requesterId() << 12);
    }

    private List<FunctionDescription> describeFunctions() {
        List<FunctionDescription> described = new ArrayList<>();
        for (PciFunction function : functions) {
            described.add(new FunctionDescription(
                    function.address(),
                    function.upstreamBridge(),
                    qtest.readBytes(ecam(function.address()), function.config().size()),
                    Optional.empty(),
                    false));
        }
        return described;
    }

    /** Returns what hardware-sim makes the same machine from. */
    MachineDescription description() {
        return description;
    }

    @Override
    public String name() {
        return qemu.toString();
    }

    @Override
    public VendorContext vendorContext(LinuxRelease release) {
        List<PciFunction> all = List.copyOf(functions);
        PciTopology topology = () -> all;
        return new VendorContext(
                memory,
                frames,
                registers(),
                QemuMachine::await,
                description.firmware(),
                topology,
                description.bootOptions(),
                release);
    }

    private static boolean await(BooleanSupplier condition, long ticks) {
        for (long poll = 0; poll < Math.min(ticks, MOST_POLLS); poll++) {
            if (condition.getAsBoolean()) {
                return true;
            }
        }
        return condition.getAsBoolean();
    }

    @Override
    public SystemMemory memory() {
        return memory;
    }

    @Override
    public RegisterSpace registers() {
        return (base, size) -> new QemuRegisters(qtest, base, size);
    }

    @Override
    public long[] words(long physicalAddress, int count) {
        return memory.words(physicalAddress, count);
    }

    @Override
    public DmaDevice device(PciAddress address) {
        DmaDevice device = devices.get(address);
        if (device == null) {
            throw new IllegalArgumentException(
                    qemu + " has no DMA device at " + address + "; it has " + devices.keySet());
        }
        return device;
    }

    private record QemuFunction(PciAddress address, Optional<PciAddress> upstreamBridge, ConfigSpace config)
            implements PciFunction {}
}
