// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.machine;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.pci.PciTopology;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.Processor;
import org.iommu4j.platform.RegisterSpace;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.platform.Waiter;
import org.iommu4j.platform.support.FramePool;
import org.iommu4j.sim.cache.CacheHierarchy;
import org.iommu4j.sim.memory.Dram;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.pcie.PlatformMaster;
import org.iommu4j.sim.pcie.RootComplex;
import org.iommu4j.sim.pcie.SimulatedFunction;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.PlatformDeviceDescription;
import org.iommu4j.sim.spi.StateDigest;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.spi.TranslationUnitProvider;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.sim.trace.Trace;
import org.iommu4j.spi.VendorContext;
import org.jspecify.annotations.Nullable;

/**
 * A simulated machine: silicon, and the adapters through which drivers and guests use it.
 *
 * <p>Memory is divided between kernel and users, so that an address shows its origin. The kernel's frames lie in the
 * first half, from 1 MiB on; user pages, and so the memory of guests, in the second half. With 256 MiB of memory, a
 * guest of up to 128 MiB has guest-physical addresses below all of its host-physical ones. Callers choose IOVAs that
 * overlap neither. Frame 0 is never used.
 *
 * <p>With caches a machine belongs to one thread at a time ({@link #release}); a flat one is thread-safe, except for
 * {@link #reset}, {@link #digest} and the trace.
 */
public final class Machine {
    private static final int FRAME_SIZE = SystemMemory.FRAME_SIZE;
    private static final long LOW_MEMORY = 1L << 20;

    private final MachineDescription description;
    private final Backing backing;
    private final Trace trace;
    private final RootComplex rootComplex;
    private final AddressedFunctions devices;
    private final TranslationUnit[] units;
    private final SimulatedFunction[] functions;
    private final @Nullable Endpoint[] endpoints;
    private final PlatformMaster[] masters;
    private final @Nullable SystemMemory[] memories;
    private final @Nullable Processor[] processors;
    private final FramePool kernelFrames;
    private final FramePool userFrames;
    private final RegisterClaims registerClaims = new RegisterClaims();

    Machine(
            MachineDescription description,
            Backing backing,
            Map<String, TranslationUnitProvider> providers,
            Trace trace) {
        this.description = description;
        this.backing = backing;
        this.trace = trace;
        long frames = description.memoryBytes() / FRAME_SIZE;
        if (frames < 4) {
            throw new IllegalArgumentException("machine " + description.name() + " has " + description.memoryBytes()
                    + " bytes of memory, expected at least 4 frames of 4096");
        }
        long half = frames / 2 * FRAME_SIZE;
        long kernelBase = half > 2 * LOW_MEMORY ? LOW_MEMORY : FRAME_SIZE;
        kernelFrames = new FramePool(kernelBase, half - kernelBase);
        userFrames = new FramePool(half, frames * FRAME_SIZE - half);
        rootComplex = new RootComplex(backing.fabric(), trace, description.interruptWindow());
        functions = new SimulatedFunction[description.functions().size()];
        for (int i = 0; i < functions.length; i++) {
            functions[i] = new SimulatedFunction(description.functions().get(i));
        }
        devices = new AddressedFunctions(functions, description.units(), trace);
        units = new TranslationUnit[description.units().size()];
        for (int i = 0; i < units.length; i++) {
            TranslationUnitSpec spec = description.units().get(i);
            TranslationUnitProvider provider = providers.get(spec.provider());
            if (provider == null) {
                throw new IllegalArgumentException("unit " + spec.name() + " of machine " + description.name()
                        + " needs provider '" + spec.provider() + "'; known: " + providers.keySet());
            }
            units[i] = provider.create(spec, new UnitFabric(backing.fabric(), spec.name(), trace, devices));
        }
        for (FunctionDescription function : description.functions()) {
            checkReferences(function);
        }
        masters = new PlatformMaster[description.platformDevices().size()];
        for (int i = 0; i < masters.length; i++) {
            masters[i] = newMaster(description.platformDevices().get(i));
        }
        endpoints = new Endpoint[functions.length];
        memories = new SystemMemory[description.processors().cpus()];
        processors = new Processor[description.processors().cpus()];
    }

    private PlatformMaster newMaster(PlatformDeviceDescription device) {
        int unit = device.unit().isPresent() ? unitIndex(device.unit().get()) : -1;
        if (unit < 0 && device.unit().isPresent()) {
            throw new IllegalArgumentException("device " + device.id() + " of machine " + description.name()
                    + " names unit '" + device.unit().get() + "', which does not exist");
        }
        return new PlatformMaster(device, unit < 0 ? null : units[unit], rootComplex);
    }

    private void checkReferences(FunctionDescription function) {
        if (function.unit().isPresent() && unitIndex(function.unit().get()) < 0) {
            throw new IllegalArgumentException("function " + function.address() + " of machine " + description.name()
                    + " names unit '" + function.unit().get() + "', which does not exist");
        }
        if (function.upstreamBridge().isPresent()
                && functionIndex(function.upstreamBridge().get()) < 0) {
            throw new IllegalArgumentException("function " + function.address() + " of machine " + description.name()
                    + " is below " + function.upstreamBridge().get() + ", which does not exist");
        }
    }

    /** Returns the description that it was made from. */
    public MachineDescription description() {
        return description;
    }

    // Adapters for drivers and guests.

    /** Returns its CPUs in the order of their numbers. */
    public List<Processor> processors() {
        List<Processor> all = new ArrayList<>(processors.length);
        for (int cpu = 0; cpu < processors.length; cpu++) {
            all.add(processor(cpu));
        }
        return all;
    }

    private Processor processor(int cpu) {
        Processor processor = processors[cpu];
        if (processor == null) {
            processor = backing.processor(cpu);
            processors[cpu] = processor;
        }
        return processor;
    }

    /**
     * Returns memory as one CPU sees it, through its caches if there are any.
     *
     * @param cpu from 0
     */
    public SystemMemory memory(int cpu) {
        SystemMemory memory = memories[cpu];
        if (memory == null) {
            memory = backing.memory(cpu);
            memories[cpu] = memory;
        }
        return memory;
    }

    /** Returns the kernel's frames, for tables and queues. */
    public FrameAllocator frames() {
        return kernelFrames;
    }

    /** Returns the frames that user processes share. */
    public FrameAllocator userFrames() {
        return userFrames;
    }

    /**
     * Returns the units' registers by physical address, for observers: it works whether or not a driver has them. A
     * mapping of any other address is refused with ENXIO.
     */
    public RegisterSpace registers() {
        return (physicalBase, size) -> mapRegisters(physicalBase, size, false);
    }

    private UnitRegisters mapRegisters(long physicalBase, int size, boolean claimed) {
        for (TranslationUnit unit : units) {
            long start = physicalBase - unit.spec().registerBase();
            if (start >= 0 && start < unit.spec().registerSize()) {
                return new UnitRegisters(
                        unit, (int) start, size, trace, claimed ? registerClaims.claim(unit, (int) start, size) : null);
            }
        }
        throw new IommuException(Errno.ENXIO, "no registers at 0x" + Long.toHexString(physicalBase));
    }

    /**
     * Returns whether an interrupt wire of a unit is high.
     *
     * @param unit the unit's name
     * @param wire the unit's number for it, 0 to 31
     * @throws IllegalArgumentException when there is no such unit
     */
    public boolean isWireHigh(String unit, int wire) {
        Objects.requireNonNull(unit, "unit");
        int index = unitIndex(unit);
        if (index < 0) {
            throw new IllegalArgumentException("machine " + description.name() + " has no unit '" + unit + "'");
        }
        return devices.isHigh(index, wire);
    }

    /** Returns the waiter: a tick is one step of every unit, and a wait ends early when no unit has work. */
    public Waiter waiter() {
        return this::await;
    }

    private boolean await(BooleanSupplier condition, long ticks) {
        Objects.requireNonNull(condition, "condition");
        for (long tick = 0; tick < ticks; tick++) {
            if (condition.getAsBoolean()) {
                return true;
            }
            if (!stepUnits()) {
                break;
            }
        }
        return condition.getAsBoolean();
    }

    private boolean stepUnits() {
        boolean worked = false;
        for (TranslationUnit unit : units) {
            worked |= unit.step();
        }
        return worked || devices.answer(units);
    }

    /** Returns the PCI functions. */
    public PciTopology topology() {
        List<PciFunction> all = List.of(functions);
        return () -> all;
    }

    /** Returns the ACPI tables and the device tree. */
    public FirmwareTables firmware() {
        return description.firmware();
    }

    /**
     * Returns the context for opening a driver; its CPU is CPU 0. Only one driver at a time has a unit's registers,
     * over all contexts of a machine; another driver is refused with EBUSY.
     */
    public VendorContext vendorContext(LinuxRelease release) {
        Objects.requireNonNull(release, "release");
        return new VendorContext(
                memory(0),
                frames(),
                (physicalBase, size) -> mapRegisters(physicalBase, size, true),
                waiter(),
                firmware(),
                topology(),
                description.bootOptions(),
                release);
    }

    /**
     * Makes a user process.
     *
     * @param memlockPages its limit on locked memory, in pages of 4 KiB, not negative
     * @param capIpcLock whether it may exceed the limit
     */
    public UserProcess newProcess(long memlockPages, boolean capIpcLock) {
        return new UserProcess(userFrames, memlockPages, capIpcLock);
    }

    // Parts of the machine.

    /**
     * Returns a device that can make requests, always the same object.
     *
     * @throws IllegalArgumentException when the address has no function, or a bridge
     */
    public Endpoint endpoint(PciAddress address) {
        Objects.requireNonNull(address, "address");
        int index = functionIndex(address);
        if (index < 0 || !functions[index].config().isDevice()) {
            throw new IllegalArgumentException("machine " + description.name() + " has no device at " + address);
        }
        Endpoint endpoint = endpoints[index];
        if (endpoint == null) {
            endpoint = newEndpoint(functions[index]);
            endpoints[index] = endpoint;
        }
        return endpoint;
    }

    /** Returns the names of the devices that are not on PCI, in the order of the description. */
    public List<NamedDevice> namedDevices() {
        return Stream.of(masters).map(PlatformMaster::device).toList();
    }

    /**
     * Returns a device that is not on PCI and can make requests, always the same object.
     *
     * @throws IllegalArgumentException when there is no device of that name
     */
    public PlatformMaster master(NamedDevice device) {
        Objects.requireNonNull(device, "device");
        for (PlatformMaster master : masters) {
            if (master.device().equals(device)) {
                return master;
            }
        }
        throw new IllegalArgumentException("machine " + description.name() + " has no device " + device);
    }

    private Endpoint newEndpoint(SimulatedFunction function) {
        List<SimulatedFunction> bridges = new ArrayList<>();
        Optional<PciAddress> above = function.upstreamBridge();
        while (above.isPresent()) {
            SimulatedFunction bridge = functions[functionIndex(above.get())];
            if (bridges.contains(bridge)) {
                throw new IllegalArgumentException(
                        "machine " + description.name() + " has a loop of bridges at " + bridge);
            }
            bridges.add(bridge);
            above = bridge.upstreamBridge();
        }
        int unit = function.unit().isPresent() ? unitIndex(function.unit().get()) : -1;
        return new Endpoint(function, bridges, unit < 0 ? null : units[unit], rootComplex);
    }

    /** Returns the translation units in the order of the description. */
    public List<TranslationUnit> units() {
        return List.of(units);
    }

    /**
     * Returns a translation unit by its name.
     *
     * @throws IllegalArgumentException when there is none
     */
    public TranslationUnit unit(String name) {
        Objects.requireNonNull(name, "name");
        int index = unitIndex(name);
        if (index < 0) {
            throw new IllegalArgumentException(
                    "machine " + description.name() + " has no translation unit '" + name + "'");
        }
        return units[index];
    }

    /** Returns the caches, empty on a flat machine, for callers that schedule evictions or inspect states. */
    public Optional<CacheHierarchy> caches() {
        return backing.caches();
    }

    /** Returns the recorder of events, initially off. */
    public Trace trace() {
        return trace;
    }

    // Events that hardware may cause at any time.

    /**
     * Evicts a line, if present, from a CPU's private cache and from the shared one to DRAM. Does nothing on a flat
     * machine.
     */
    public void evict(int cpu, long physicalAddress) {
        backing.caches().ifPresent(caches -> caches.evict(cpu, physicalAddress));
    }

    /** Takes a line into a CPU's private cache. Does nothing on a flat machine. */
    public void prefetch(int cpu, long physicalAddress) {
        backing.caches().ifPresent(caches -> caches.prefetch(cpu, physicalAddress));
    }

    /**
     * Makes the 8 words of the line at an address corrupt beyond repair: units and devices that read them get {@link
     * org.iommu4j.sim.spi.AccessStatus#POISON}. The poison moves with the line. It ends, word by word, where a word is
     * written, and by {@link #reset}. A CPU that loads such a word gets a value of no meaning: machine checks are not
     * modelled.
     *
     * @param physicalAddress in memory, anywhere in the line
     */
    public void poison(long physicalAddress) {
        long line = physicalAddress & -Dram.LINE_BYTES;
        for (int word = 0; word < Dram.LINE_WORDS; word++) {
            backing.poison(line + word * 8L);
        }
    }

    /**
     * Does what all CPUs' instructions left to wait, then writes back and empties all caches. Does nothing on a flat
     * machine.
     */
    public void drainCaches() {
        backing.caches().ifPresent(CacheHierarchy::drain);
    }

    /** Does all pending work of the units. */
    public void runPending() {
        while (stepUnits()) {
            // each round does one piece of work of each unit
        }
    }

    // The machine as a whole.

    /** Reads a word of memory past all caches; the trace does not record it. */
    public long peekDram(long physicalAddress) {
        return backing.peek(physicalAddress);
    }

    /** Lets another thread use a machine with caches. */
    public void release() {
        backing.caches().ifPresent(CacheHierarchy::release);
    }

    /**
     * Returns the machine to its power-on state and clears the trace; the cost depends on the state that was touched.
     * Drivers, domains and processes opened on it before can't be used anymore.
     */
    public void reset() {
        backing.reset();
        for (TranslationUnit unit : units) {
            unit.reset();
        }
        devices.reset();
        for (SimulatedFunction function : functions) {
            function.reset();
        }
        kernelFrames.reset();
        userFrames.reset();
        registerClaims.clear();
        trace.stop();
        trace.clear();
    }

    /**
     * Returns a digest of the whole state of the silicon: memory, caches, units and configuration spaces. Bookkeeping
     * of the platform is not included: allocated frames, processes, the trace.
     */
    public long digest() {
        StateDigest digest = new StateDigest();
        backing.addTo(digest);
        for (TranslationUnit unit : units) {
            unit.addTo(digest);
        }
        for (SimulatedFunction function : functions) {
            function.addTo(digest);
        }
        return digest.value();
    }

    private int unitIndex(String name) {
        for (int i = 0; i < units.length; i++) {
            if (units[i].spec().name().equals(name)) {
                return i;
            }
        }
        return -1;
    }

    private int functionIndex(PciAddress address) {
        for (int i = 0; i < functions.length; i++) {
            if (functions[i].address().equals(address)) {
                return i;
            }
        }
        return -1;
    }

    @Override
    public String toString() {
        return "machine " + description.name();
    }
}
