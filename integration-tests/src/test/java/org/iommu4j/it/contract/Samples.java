// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.contract;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.lang.invoke.MethodHandles;
import java.lang.reflect.Array;
import java.lang.reflect.Executable;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.BooleanSupplier;
import java.util.function.Function;
import java.util.function.IntFunction;
import java.util.function.IntPredicate;
import java.util.function.IntUnaryOperator;
import java.util.function.Predicate;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.iommu4j.DirtyBitmap;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.HardwareInfo;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.LinuxRelease;
import org.iommu4j.PageRequest;
import org.iommu4j.PageRequestGroup;
import org.iommu4j.Prot;
import org.iommu4j.audit.Audit;
import org.iommu4j.audit.Auditor;
import org.iommu4j.audit.DeviceKind;
import org.iommu4j.audit.Fleet;
import org.iommu4j.audit.FleetRow;
import org.iommu4j.audit.Line;
import org.iommu4j.audit.NoSnoopUse;
import org.iommu4j.audit.Passthrough;
import org.iommu4j.audit.Reset;
import org.iommu4j.audit.Selection;
import org.iommu4j.audit.Step;
import org.iommu4j.bits.Access;
import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Layout;
import org.iommu4j.bits.Register;
import org.iommu4j.bits.SplitField;
import org.iommu4j.capability.GuestTable;
import org.iommu4j.core.DefaultDomainCookie;
import org.iommu4j.core.IommuCore;
import org.iommu4j.core.PciIsolation;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.dma.DmaApi;
import org.iommu4j.dma.DmaDevice;
import org.iommu4j.dma.DmaOptions;
import org.iommu4j.dma.DmaParameters;
import org.iommu4j.dma.ScatterList;
import org.iommu4j.explorer.Bounds;
import org.iommu4j.explorer.CheckedSystem;
import org.iommu4j.explorer.Exploration;
import org.iommu4j.explorer.LocalEngine;
import org.iommu4j.explorer.Report;
import org.iommu4j.explorer.Settings;
import org.iommu4j.explorer.World;
import org.iommu4j.host.CaptureFiles;
import org.iommu4j.host.Fact;
import org.iommu4j.host.ForeignUnits;
import org.iommu4j.host.HostEvidence;
import org.iommu4j.host.HostInputs;
import org.iommu4j.host.InputException;
import org.iommu4j.host.UnknownInputException;
import org.iommu4j.intel.nesting.FirstStageInvalidation;
import org.iommu4j.intel.nesting.FirstStageTable;
import org.iommu4j.it.Checkout;
import org.iommu4j.it.domain.Bench;
import org.iommu4j.it.domain.Configuration;
import org.iommu4j.it.domain.DomainConfigurations;
import org.iommu4j.kvm.GuestTreatment;
import org.iommu4j.kvm.KvmOptions;
import org.iommu4j.kvm.VirtualMachine;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.AcpiTable;
import org.iommu4j.platform.DeviceTree;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.platform.ProcessMemory;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.platform.support.FailNth;
import org.iommu4j.release.Evidence;
import org.iommu4j.release.ReleaseRule;
import org.iommu4j.release.RuleSheet;
import org.iommu4j.release.RuleValue;
import org.iommu4j.riscv.RiscvVendor;
import org.iommu4j.riscv.sim.RiscvSilicon;
import org.iommu4j.sim.amdvi.AmdViUnitProvider;
import org.iommu4j.sim.cache.CacheHierarchy;
import org.iommu4j.sim.cache.EvictionPolicy;
import org.iommu4j.sim.cpu.FlatProcessor;
import org.iommu4j.sim.cpu.SimulatedProcessor;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.machine.UserProcess;
import org.iommu4j.sim.memory.Dram;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.sim.pcie.DmaProgram;
import org.iommu4j.sim.pcie.PlatformMaster;
import org.iommu4j.sim.pcie.RootComplex;
import org.iommu4j.sim.pcie.SimulatedFunction;
import org.iommu4j.sim.spi.CacheFeatures;
import org.iommu4j.sim.spi.CacheGeometry;
import org.iommu4j.sim.spi.Epoch;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.ImageFabric;
import org.iommu4j.sim.spi.InterruptWindow;
import org.iommu4j.sim.spi.InvalidationTags;
import org.iommu4j.sim.spi.PlatformDeviceDescription;
import org.iommu4j.sim.spi.ProcessorDescription;
import org.iommu4j.sim.spi.RegisterDump;
import org.iommu4j.sim.spi.StateDigest;
import org.iommu4j.sim.spi.TableListing;
import org.iommu4j.sim.spi.TableVisitor;
import org.iommu4j.sim.spi.TranslationUnitProvider;
import org.iommu4j.sim.trace.Trace;
import org.iommu4j.sim.verdict.Owner;
import org.iommu4j.sim.vtd.DmarWriter;
import org.iommu4j.spi.HostFacts;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.spi.KernelLog;
import org.iommu4j.spi.KernelRemark;
import org.iommu4j.spi.LinuxStatements;
import org.iommu4j.spi.PageRequestGroups;
import org.iommu4j.spi.Reason;
import org.iommu4j.spi.RegisterValues;
import org.iommu4j.spi.ShownGroups;
import org.iommu4j.spi.ShownUnit;
import org.iommu4j.spi.UnitAbilities;
import org.iommu4j.spi.VendorContext;
import org.iommu4j.vfio.Vfio;
import org.iommu4j.vfio.VfioContainer;
import org.iommu4j.vfio.VfioDevice;
import org.iommu4j.vfio.VfioDeviceFile;
import org.iommu4j.vfio.VfioExtension;
import org.iommu4j.vfio.VfioFile;
import org.iommu4j.vfio.VfioGroup;
import org.iommu4j.vfio.VfioOptions;
import org.iommu4j.vfio.iommufd.DirtyRange;
import org.iommu4j.vfio.iommufd.DmaBuf;
import org.iommu4j.vfio.iommufd.HwptAlloc;
import org.iommu4j.vfio.iommufd.HwptState;
import org.iommu4j.vfio.iommufd.IoasCopy;
import org.iommu4j.vfio.iommufd.IoasMap;
import org.iommu4j.vfio.iommufd.IoasMapDmaBuf;
import org.iommu4j.vfio.iommufd.IoasMapFile;
import org.iommu4j.vfio.iommufd.Iommufd;
import org.iommu4j.vfio.iommufd.IommufdAccess;
import org.iommu4j.vfio.iommufd.IommufdOptions;
import org.iommu4j.vfio.iommufd.IommufdUser;
import org.iommu4j.vfio.type1.DirtyPages;
import org.iommu4j.vfio.type1.DmaMap;
import org.iommu4j.vfio.type1.DmaUnmap;
import org.iommu4j.vfio.type1.EmulatedGroup;
import org.iommu4j.vfio.type1.NoSnoopBlocking;
import org.iommu4j.vfio.type1.Type1Iommu;
import org.iommu4j.vfio.type1.Type1Options;
import org.iommu4j.vfio.type1.Type1Version;
import org.iommu4j.vfio.type1.VfioBitmap;

/**
 * Objects of the library's types in a state of use: drivers of all vendors with every kind of domain, a host with core,
 * DMA API, VFIO and KVM, and what silicon is made of.
 */
final class Samples {
    private static final PciAddress NIC = BuiltInTopology.SECOND_GPU;
    private static final long IOVA = 0x20_0000;
    private static final GuestTable GUEST_TABLE = new FirstStageTable(0x10_0000, 48, 0);

    private final List<Object> all = new ArrayList<>();
    private final List<Bench> benches = new ArrayList<>();
    private final List<IommuDomain> mapped = new ArrayList<>();
    private final Machine machine;
    private final UserProcess process;
    private final VfioContainer container;
    private final VirtualMachine guest;
    private final DmaDevice nic;
    private final IommuCore core;

    Samples() {
        addValues();
        for (Configuration configuration : DomainConfigurations.withEveryAbility()) {
            addBench(new Bench(configuration.flat()));
        }
        MachineFactory factory = MachineFactory.load();
        machine = factory.create(factory.named("intel-sc"));
        process = machine.newProcess(1000, false);
        core = IommuCore.open(open(machine), machine.topology());
        DmaApi dma = new DmaApi(core, machine.memory(0), machine.frames());
        nic = dma.bind(NIC);
        add(nic.allocateCoherent(4096));
        Vfio vfio = new Vfio(core, VfioOptions.DEFAULT);
        VfioDevice device = vfio.register(BuiltInTopology.GPU);
        VfioGroup group = vfio.openGroup(device.groupId());
        container = vfio.openContainer(process);
        group.setContainer(container);
        container.setIommu(VfioExtension.TYPE1V2_IOMMU);
        process.allocate(0x10_0000, 4, true);
        container.map(0, 0x10_0000, 0x4000, VfioContainer.MAP_READ | VfioContainer.MAP_WRITE);
        guest = new VirtualMachine(process, machine.processors(), KvmOptions.DEFAULT);
        guest.addMemory(0, 0, 0x4000, 0x10_0000);
        add(factory, machine, process, core, dma, nic, vfio, device, group, container, guest);
        add(core.group(NIC).orElseThrow(), core.group(BuiltInTopology.GPU).orElseThrow());
        add(guest.createVfioDevice(), guest.createVcpu(machine.processors().get(0)));
        Type1Options options =
                new Type1Options(false, true, 10, NoSnoopBlocking.BY_DOMAIN, Errno.EINVAL, true, true, true);
        add(options, new Type1Iommu(Type1Version.TYPE1V2, process, options));
        addIommufd(factory);
        addEvents(factory);
        addSilicon(factory);
        add((IntUnaryOperator) event -> event, (IntFunction<Owner>) event -> Owner.HOST, Owner.HOST);
        addHost();
        addSmallest(new Bench(DomainConfigurations.smallest()));
        add(new RiscvVendor(), new RiscvSilicon());
        addExploration();
    }

    /** An exploration before its first run, and the answer of one that has ended. */
    private void addExploration() {
        Blinker.Factory factory = new Blinker.Factory();
        add(factory, new World(Blinker.Factory.class, new byte[0]), new LocalEngine());
        add(Bounds.NONE, Settings.DEFAULT, Settings.DEFAULT.spillDirectory(), Bounds.NONE.time());
        add((Supplier<Object>) () -> new Blinker(0), getClass().getClassLoader());
        add(new Blinker(0), new CheckedSystem(new Blinker(0)), new Exploration(() -> new Blinker(0), Settings.DEFAULT));
        try (Exploration explored = new Exploration(() -> new Blinker(0), Settings.DEFAULT)) {
            Report report = explored.run(Bounds.NONE);
            add(report, report.cover(), report.cover().ended());
        }
    }

    /** A device of another host that user space has through iommufd. */
    private void addIommufd(MachineFactory factory) {
        Machine host = factory.create(factory.named("intel-sc"));
        IommuCore hostCore = IommuCore.open(open(host), host.topology());
        Vfio vfio = new Vfio(hostCore, VfioOptions.DEFAULT);
        VfioDevice device = vfio.register(BuiltInTopology.GPU);
        ProcessMemory memory = host.newProcess(1000, false);
        IommufdUser user = IommufdUser.root(memory);
        IommufdOptions options = IommufdOptions.DEFAULT.withNoIommu(true);
        Iommufd iommufd = Iommufd.open(options, user);
        VfioDeviceFile file = VfioDeviceFile.open(vfio, device);
        int id = file.bind(iommufd);
        int ioas = iommufd.ioasAlloc(0);
        HwptState hwpt = iommufd.hwpt(file.attach(ioas));
        IommufdAccess.Owner owner = (iova, length) -> {};
        add(iommufd, user, options, file, iommufd.vfioContainer(), hwpt, iommufd.getHwInfo(id, 0, 0), owner);
        add(iommufd.createAccess(owner, true), iommufd.faultQueueAlloc(0), HardwareInfo.NONE, user.account());
        add(new HwptAlloc(0, id, ioas), new DirtyRange(hwpt.ioasId(), 0, 0, 4096, 4096));
        DmaBuf buffer = new DmaBuf(List.of(new DmaBuf.Range(0xe000_0000L, 4096)));
        add(
                new IoasMap(IoasMap.READABLE, ioas, 0x10_0000, 4096, 0),
                new IoasMapFile(0, ioas, memory, 0, 4096, 0),
                buffer,
                new IoasMapDmaBuf(0, ioas, buffer, 0, 4096, 0));
        add(new IoasCopy(IoasMap.READABLE, ioas, ioas, 4096, 0, 0));
    }

    /** A virtual IOMMU's events: of AMD's unit, where it could nest. */
    private void addEvents(MachineFactory factory) {
        // GTSup and GIoSup, GCR3TRPMode
        long efr = AmdViUnitProvider.EFR_6_LEVEL | 1 << 4 | 1L << 48;
        Machine host = factory.create(AmdViUnitProvider.machine("amd-nesting", efr, 1 << 3));
        Vfio vfio = new Vfio(IommuCore.open(open(host), host.topology()), VfioOptions.DEFAULT);
        Iommufd iommufd = Iommufd.open(IommufdOptions.DEFAULT, IommufdUser.root(host.newProcess(1000, false)));
        int id = VfioDeviceFile.open(vfio, vfio.register(BuiltInTopology.GPU)).bind(iommufd);
        int parent = iommufd.hwptAlloc(new HwptAlloc(HwptAlloc.NEST_PARENT, id, iommufd.ioasAlloc(0)));
        add(iommufd.veventqAlloc(0, iommufd.viommuAlloc(0, 1, id, parent), 1, 1));
    }

    /** Adds a vendor that has no more than a vendor must have. */
    private void addSmallest(Bench bench) {
        benches.add(bench);
        Iommu iommu = bench.iommu();
        IommuDevice device = bench.device();
        IommuVendor vendor = IommuVendors.load().named(iommu.vendor());
        add(iommu, device, vendor, vendor.kernelLog());
        for (DomainType type : List.of(DomainType.BLOCKED, DomainType.DMA, DomainType.UNMANAGED)) {
            addDomain(iommu.allocate(type, device), device);
        }
    }

    private static Iommu open(Machine machine) {
        VendorContext context = machine.vendorContext(LinuxRelease.NEWEST);
        return IommuVendors.load().claiming(context.firmware()).get(0).open(context);
    }

    private void add(Object... objects) {
        all.addAll(List.of(objects));
    }

    private void addValues() {
        BitField field = BitField.bits(3, 0, "LOW");
        add(field, Layout.of("TABLE", field), SplitField.of("SPLIT", field));
        add(Register.of("REG", 0, 64, "a manual").field(BitField.bit(9, "NINE"), Access.READ_WRITE));
        add(GUEST_TABLE, new FirstStageInvalidation(0, 1, true));
        add(
                LinuxRelease.NEWEST,
                NIC,
                new NamedDevice("17a80000.ethernet"),
                new IotlbGather(),
                new DirtyBitmap(0, 4096, 4),
                new FailNth());
        PageRequest request = new PageRequest(0, true, false, false, false);
        add(request, new PageRequestGroup(NIC, 1, 0, List.of(request)), new PageRequestGroups(NIC));
        add(KernelRemark.of(KernelRemark.Kind.OFF, "it is off", new Reason("it is so", "a manual")));
        add(new Reason("it is so", "a manual"), UnitAbilities.UNKNOWN, RegisterValues.UNKNOWN, KernelLog.NONE);
        add(new ShownUnit(OptionalLong.empty(), Map.of()), LinuxStatements.NONE, ShownGroups.NONE);
        add(
                VfioOptions.DEFAULT,
                KvmOptions.DEFAULT,
                new StateDigest(),
                new InvalidationTags(1),
                new Epoch(),
                DmaProgram.empty().read(0, false));
        add(new DmaProgram.Read(0, 1, false), CacheGeometry.ORDINARY, CacheFeatures.ORDINARY);
        add(EvictionPolicy.LEAST_RECENTLY_USED);
        add((IntPredicate) number -> true, (BooleanSupplier) () -> true, (Predicate<Object>) object -> true);
        add((Runnable) () -> {}, new IllegalStateException("a cause"), new IOException("a cause"));
        add(Optional.empty(), Set.of(), List.of());
        add(AcpiTable.parse("TEST", acpiTable()), new NoFindings(), (Function<Object, Object>) object -> object);
        add(DmaParameters.DEFAULT, DmaOptions.DEFAULT, new ScatterList(), (DefaultDomainCookie) () -> {});
        DeviceTree tree = DeviceTree.parse(deviceTree());
        add(tree, tree.root());
        add(
                new DmaMap(DmaMap.SIZE, 1, 0x10_0000, 0x10_0000, 0x1000),
                new DmaUnmap(DmaUnmap.SIZE, 0, 0x10_0000, 0x1000, null),
                DirtyPages.of(DirtyPages.STOP),
                new VfioBitmap(4096, new long[1]),
                (EmulatedGroup) (iova, size) -> {});
        add((VfioFile) () -> true, GuestTreatment.of(LinuxRelease.NEWEST, HardwareVirtualization.VMX, false));
        ReleaseRule<Boolean> rule = ReleaseRule.of("rule", "It is so.", true, Evidence.READ);
        RuleSheet sheet = RuleSheet.of(Map.of("a module", List.of(rule)));
        add(rule, rule.periods().get(0), sheet, sheet.rules().get(0), MethodHandles.lookup(), RuleSheet.class);
        add(new LinuxRelease.Fix("rule", null));
        add(sheet.rules().get(0).periods().get(0), (RuleValue) () -> "it is so");
        add(OptionalInt.empty(), OptionalLong.empty(), new TreeMap<>(), "a text");
    }

    private static byte[] acpiTable() {
        byte[] bytes = Arrays.copyOf("TEST".getBytes(StandardCharsets.US_ASCII), AcpiTable.HEADER_LENGTH);
        bytes[4] = AcpiTable.HEADER_LENGTH;
        return bytes;
    }

    /** A root without anything. */
    private static byte[] deviceTree() {
        ByteBuffer tree = ByteBuffer.allocate(72);
        IntStream.of(0xd00dfeed, 72, 56, 72, 40, 17, 16, 0, 0, 16, 0, 0, 0, 0, 1, 0, 2, 9)
                .forEach(tree::putInt);
        return tree.array();
    }

    private void addBench(Bench bench) {
        benches.add(bench);
        Iommu iommu = bench.iommu();
        IommuDevice device = bench.device();
        VendorContext context = bench.machine().vendorContext(LinuxRelease.NEWEST);
        IommuVendor vendor = IommuVendors.load().named(iommu.vendor());
        add(iommu, device, vendor, vendor.kernelLog(), IommuVendors.of(List.of(vendor)), context);
        add(HostFacts.of(context.firmware(), context.topology(), RegisterValues.UNKNOWN), context.bootOptions());
        add(context.memory(), context.frames(), context.registers(), context.waiter(), context.firmware());
        add(context.topology(), context.topology().functions().get(0), PciIsolation.asSet(context.topology()));
        for (DomainType type : List.of(DomainType.BLOCKED, DomainType.IDENTITY, DomainType.DMA, DomainType.UNMANAGED)) {
            addDomain(iommu.allocate(type, device), device);
        }
        for (DomainFlag flag : DomainFlag.values()) {
            if (flag != DomainFlag.NEST_PARENT || iommu.vendor().equals("intel")) {
                addDomain(iommu.allocate(DomainType.UNMANAGED, device, Set.of(flag)), device);
            }
        }
        add(device.pageRequests().orElseThrow());
        bench.machine().units().forEach(this::add);
    }

    /** Adds a domain with an entry that a careless unmap would clear. */
    private void addDomain(IommuDomain domain, IommuDevice device) {
        add(domain);
        if (domain.type().isPaging()) {
            long page = Long.lowestOneBit(domain.pageSizes());
            domain.map(IOVA, page, page, 1, Prot.READ_WRITE);
            mapped.add(domain);
        }
        domain.cacheCoherencyEnforcement().ifPresent(this::add);
        domain.dirtyTracking().ifPresent(this::add);
        domain.pasidAttachment().ifPresent(this::add);
        domain.nesting().ifPresent(nesting -> {
            add(nesting);
            addDomain(nesting.allocateNested(device, GUEST_TABLE), device);
        });
        domain.guestInvalidation().ifPresent(this::add);
    }

    private void addSilicon(MachineFactory factory) {
        Trace trace = new Trace();
        trace.start();
        Dram dram = new Dram(1 << 20);
        CacheHierarchy caches = new CacheHierarchy(
                dram,
                ProcessorDescription.x86(1, HardwareVirtualization.NONE, CacheGeometry.LITMUS),
                EvictionPolicy.LEAST_RECENTLY_USED,
                trace);
        Fabric fabric = new Zeros();
        RootComplex rootComplex = new RootComplex(fabric, trace, Optional.of(InterruptWindow.X86));
        add(trace, dram, caches, fabric, rootComplex, new TableListing(fabric));
        PlatformDeviceDescription platformDevice =
                new PlatformDeviceDescription(new NamedDevice("\\_SB.DMA0"), Optional.empty(), List.of(1), false);
        add(platformDevice, platformDevice.id(), new PlatformMaster(platformDevice, null, rootComplex));
        add(machine.description().processors());
        add(new ImageFabric(fabric), new NoVisitor(), new DmarWriter(48));
        add(new FlatProcessor(0, machine.description().processors(), machine.memory(0)));
        add(new SimulatedProcessor(0, machine.description().processors(), caches));
        add(new SimulatedFunction(machine.description().functions().get(0)));
        add(machine.description(), machine.description().functions().get(0), machine.endpoint(BuiltInTopology.GPU));
        add(machine.endpoint(BuiltInTopology.GPU).config(), machine.unit("dmar0"));
        List<TranslationUnitProvider> providers = factory.providers().stream()
                .filter(provider ->
                        PublicApi.PACKAGES.contains(provider.getClass().getPackageName()))
                .toList();
        providers.forEach(this::add);
        for (Bench bench : benches) {
            RegisterDump dump = registers(bench.machine());
            add(bench.machine().units().get(0).spec(), dump);
            for (TranslationUnitProvider provider : providers) {
                provider.reader(dump, fabric).ifPresent(this::add);
            }
        }
    }

    /** A captured host, what is known of it, and its audit. */
    private void addHost() {
        IommuVendors vendors = IommuVendors.load();
        Path capture = Checkout.root().resolve("integration-tests/src/test/resources/captures/intel-sc1.tar");
        HostInputs inputs = new HostInputs(vendors).capture(capture);
        HostEvidence host = inputs.read();
        Auditor auditor = new Auditor(vendors);
        PciAddress last = host.functions().get(host.functions().size() - 1).address();
        Audit audit = auditor.audit(host, Optional.of(LinuxRelease.NEWEST), List.of(last));
        add(inputs, host, HostEvidence.builder("a host"), auditor, audit, Objects.requireNonNull(audit.assignment()));
        add(
                host.functions().get(0),
                host.units().values().iterator().next(),
                host.groups().values().iterator().next());
        add(audit.units().get(0), audit.devices().get(0), audit.groups().get(0), new Step("it", "yes", "a manual"));
        add(new Fact<>(1L, "a log"), new InputException("no input"), new UnknownInputException("nothing known"));
        add(CaptureFiles.open(capture), capture.resolveSibling("absent.tar"), new TreeSet<>());
        add(audit.units().get(0).description());
        add(Reset.UNKNOWN, new Passthrough(audit), DeviceKind.USB);
        add(new Selection(Set.of(DeviceKind.USB), Set.of()));
        add(
                new Fleet(auditor, () -> inputs, Optional.empty()),
                new FleetRow("a host", Optional.of(audit), null, false));
        add(new NoSnoopUse(NoSnoopUse.Kind.NONE, new Reason("it does", "its driver")), new Line("do", "it"));
        add((Supplier<HostInputs>) () -> inputs, new ByteArrayInputStream(new byte[0]));
        ForeignUnits.all().forEach(this::add);
    }

    private static RegisterDump registers(Machine machine) {
        long base = machine.units().get(0).spec().registerBase();
        RegisterWindow window = machine.registers().map(base, 0x1000);
        Map<Integer, Long> words = new HashMap<>();
        for (int offset = 0; offset < 0x1000; offset += 8) {
            words.put(offset, window.read64(offset));
        }
        return new RegisterDump(base, words);
    }

    /** Returns all objects that are of a type. */
    List<Object> of(Class<?> type) {
        if (type.isEnum()) {
            return List.of(type.getEnumConstants());
        }
        return all.stream().filter(type::isInstance).toList();
    }

    /** Returns what a parameter that is not the null may have. */
    Object argument(Executable executable, int parameter) {
        Class<?> type = executable.getParameterTypes()[parameter];
        if (type.isPrimitive()) {
            return Array.get(Array.newInstance(type, 1), 0);
        }
        if (type.isArray()) {
            return Array.newInstance(type.getComponentType(), 0);
        }
        List<Object> found = of(type);
        if (found.isEmpty()) {
            throw new AssertionError("no sample of " + type + " for parameter " + parameter + " of " + executable);
        }
        return found.get(0);
    }

    /** Returns what a refused call must leave as it is. */
    List<Object> state() {
        List<Object> state = new ArrayList<>();
        for (Bench bench : benches) {
            state.add(bench.machine().digest());
            state.add(bench.framesInUse());
        }
        for (IommuDomain domain : mapped) {
            state.add(domain.translate(IOVA));
        }
        state.add(machine.digest());
        state.add(machine.frames().inUse());
        state.add(machine.userFrames().inUse());
        state.add(process.pinned());
        state.add(process.charged());
        state.add(container.info());
        state.add(container.domains());
        state.add(guest.noncoherentDmaCount());
        state.add(guest.wbinvdExecuted());
        state.add(nic.mappings());
        core.groups().forEach(group -> state.add(group + " " + group.inUse() + " " + group.domain()));
        return state;
    }

    /** Memory that is zero everywhere. */
    private static final class Zeros implements Fabric {
        @Override
        public boolean isMemory(long physicalAddress) {
            return true;
        }

        @Override
        public long read(long physicalAddress, boolean snoop) {
            return 0;
        }

        @Override
        public void write(long physicalAddress, long value, boolean snoop) {
            throw new IllegalStateException("a write to 0x" + Long.toHexString(physicalAddress));
        }

        @Override
        public void write32(long physicalAddress, int value, boolean snoop) {
            throw new IllegalStateException("a write to 0x" + Long.toHexString(physicalAddress));
        }

        @Override
        public boolean compareAndSet(long physicalAddress, long expected, long value, boolean snoop) {
            throw new IllegalStateException("a write to 0x" + Long.toHexString(physicalAddress));
        }
    }

    /** A visitor that has seen nothing. */
    private static final class NoVisitor implements TableVisitor {
        @Override
        public void requester(int requesterId, int pasid, String translation, long root) {
            Objects.requireNonNull(translation, "translation");
        }

        @Override
        public void table(int level, long entryAddress, long entry, long iova) {}

        @Override
        public void mapping(
                long iova, long physicalAddress, long size, int prot, boolean snoopForced, long entry, int level) {}

        @Override
        public void problem(String line) {
            Objects.requireNonNull(line, "line");
        }
    }

    /** A reader of a log that finds nothing. */
    private static final class NoFindings implements KernelLog.Findings {
        @Override
        public void unit(String name, OptionalLong registerBase, Map<String, Long> registers) {
            Objects.requireNonNull(name, "name");
            Objects.requireNonNull(registerBase, "registerBase");
            Objects.requireNonNull(registers, "registers");
        }

        @Override
        public void everyUnit(Map<String, Long> registers) {
            Objects.requireNonNull(registers, "registers");
        }

        @Override
        public void interruptRemapping(boolean on) {}

        @Override
        public void inUse(boolean inUse) {}

        @Override
        public void done() {}
    }
}
