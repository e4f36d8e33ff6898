// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.release;

import static org.assertj.core.api.Assertions.assertThat;
import static org.mockito.Mockito.mockStatic;

import java.lang.reflect.Constructor;
import java.lang.reflect.RecordComponent;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.intel.conformance.IntelMachines;
import org.iommu4j.kvm.KvmOptions;
import org.iommu4j.kvm.KvmVfioDevice;
import org.iommu4j.kvm.Vcpu;
import org.iommu4j.kvm.VirtualMachine;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.release.ReleaseRule;
import org.iommu4j.release.RulePeriod;
import org.iommu4j.release.RuleRecords;
import org.iommu4j.sim.amdvi.AmdViUnitProvider;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.machine.UserProcess;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.vtd.VtdUnitProvider;
import org.iommu4j.vfio.VfioContainer;
import org.iommu4j.vfio.VfioDeviceFile;
import org.iommu4j.vfio.VfioExtension;
import org.iommu4j.vfio.VfioFile;
import org.iommu4j.vfio.VfioGroup;
import org.iommu4j.vfio.iommufd.HwptAlloc;
import org.iommu4j.vfio.iommufd.Iommufd;
import org.iommu4j.vfio.iommufd.IommufdOptions;
import org.iommu4j.vfio.iommufd.IommufdUser;
import org.iommu4j.vfio.iommufd.UserAccount;
import org.iommu4j.workbench.Workbench;
import org.iommu4j.workbench.scenario.AssignedGuest;
import org.iommu4j.workbench.scenario.Case;
import org.iommu4j.workbench.scenario.DecisionStep;
import org.iommu4j.workbench.scenario.GuestDevice;
import org.iommu4j.workbench.scenario.Outcome;
import org.iommu4j.workbench.scenario.Scenario;
import org.iommu4j.workbench.scenario.TimelineEntry;
import org.iommu4j.workbench.scenario.UnexpectedFaultException;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.mockito.MockedStatic;

/**
 * Each rule that decides coherence changes the outcome of a case, when it has its value of before in the release that
 * brought a new one.
 *
 * <p>Most cases are the command's. What those do not come to has stories of its own here: devices that come and go,
 * iommufd, and what a guest does to its memory's types.
 */
class CasesOfRulesTest {
    private static final long SCALABLE = VtdUnitProvider.ECAP_SNOOP_CONTROL | 1L << 43 | 1L << 48;
    private static final long SNOOP_CONTROL = 1L << 7;
    private static final long FIRST = SCALABLE | 1L << 47;
    private static final long BOTH = FIRST | 1L << 46;
    private static final long LEGACY = VtdUnitProvider.ECAP_SNOOP_CONTROL;
    private static final long CAP = VtdUnitProvider.CAP_4_LEVEL;

    /** PPRSup, GTSup, GLXSup 2, PASmax 15, GIoSup. */
    private static final long GUEST_EFR =
            AmdViUnitProvider.EFR_6_LEVEL | 1 << 1 | 1 << 4 | 2 << 14 | 15L << 32 | 1L << 48;

    /** A machine and a case, or a story of this test. */
    private record Cell(MachineDescription machine, String story) {}

    private static final Map<String, Cell> CELLS = Map.ofEntries(
            Map.entry("amd: enforcementOp", new Cell(named("amd"), "capable-late-attach")),
            Map.entry("amd: enforcementCapability", new Cell(named("amd"), "guest-forgets-flush")),
            Map.entry("amd: guestTables", new Cell(guestTables(), "host-no-snoop")),
            Map.entry("amd: guestTablesForAll", new Cell(guestTables(), "guest-no-snoop")),
            Map.entry("amd: pasidDomains", new Cell(amd(GUEST_EFR), "user-domains")),
            Map.entry("amd: hostTablesOff", new Cell(withoutHostTables(), "guest-no-snoop")),
            Map.entry("intel: enforcement", new Cell(named("intel-sc"), "capable-late-attach")),
            Map.entry("intel: secondStageAttach", new Cell(named("intel-mixed"), "late-attach")),
            Map.entry("intel: firstStageAttach", new Cell(intel(FIRST, FIRST & ~SNOOP_CONTROL), "late-attach")),
            Map.entry("intel: predictsEnforcement", new Cell(named("intel-sc"), "guest-forgets-flush")),
            Map.entry("intel: unmanagedPrefersSecondStage", new Cell(intel(BOTH, BOTH), "user-domains")),
            Map.entry("intel: userDomainsAreSnooped", new Cell(intel(FIRST, FIRST), "guest-no-snoop-unreported")),
            Map.entry("intel: stagesShareOps", new Cell(intel(LEGACY, BOTH), "mixed-container")),
            Map.entry("intel: usersGetSecondStage", new Cell(intel(BOTH, BOTH), "user-domains")),
            Map.entry("vfio: asksDomains", new Cell(named("amd"), "guest-forgets-flush")),
            Map.entry("vfio: externalUsersNeedIommu", new Cell(named("intel-nosc"), "kvm-told-early")),
            Map.entry("vfio: filesAskDevices", new Cell(named("intel-mixed"), "device-leaves-kvm")),
            Map.entry("iommufd: upgradesAtAttach", new Cell(named("intel-mixed"), "joins-anothers-table")),
            Map.entry("iommufd: driverAllocatesForUsers", new Cell(intel(FIRST, FIRST), "user-domains")),
            Map.entry("kvm: dropsEntriesOnChange", new Cell(named("intel-mixed"), "late-device")),
            Map.entry("kvm: cachingOffIgnoresPat", new Cell(named("intel-nosc"), "guest-memory")),
            Map.entry("kvm: guestMtrrs", new Cell(named("intel-nosc"), "guest-memory")),
            Map.entry("kvm: guestPatQuirk", new Cell(named("intel-nosc"), "guest-memory")),
            Map.entry("kvm: recomputesOnFailedDelete", new Cell(named("intel-nosc"), "guest-memory")),
            Map.entry("kvm: takesDeviceFiles", new Cell(named("intel-nosc"), "device-file")));

    private static final Map<String, Consumer<Scenario>> STORIES = Map.of(
            "late-device", CasesOfRulesTest::lateDevice,
            "device-leaves-kvm", CasesOfRulesTest::deviceLeavesKvm,
            "joins-anothers-table", CasesOfRulesTest::joinsAnothersTable,
            "user-domains", CasesOfRulesTest::userDomains,
            "guest-memory", CasesOfRulesTest::guestMemory,
            "device-file", CasesOfRulesTest::deviceFile);

    private final Workbench workbench = Workbench.create();

    private static MachineDescription named(String name) {
        return MachineFactory.load().named(name);
    }

    private static MachineDescription amd(long efr) {
        return AmdViUnitProvider.machine("amd-with-guest-tables", efr, 0);
    }

    private static MachineDescription guestTables() {
        MachineDescription machine = amd(GUEST_EFR);
        return machine.withBootOptions(machine.bootOptions().and("amd_iommu=pgtbl_v2"));
    }

    /** Firmware says that the unit has no host tables: HATDis, bit 0 of the attributes of a block of type 11h. */
    private static MachineDescription withoutHostTables() {
        MachineDescription machine = amd(GUEST_EFR);
        byte[] ivrs = machine.acpiTables().get("IVRS").clone();
        int block = 48;
        while (ivrs[block] != 0x11) {
            block += (ivrs[block + 2] & 0xff) | ((ivrs[block + 3] & 0xff) << 8);
        }
        ivrs[block + 20] = (byte) (ivrs[block + 20] | 1);
        ivrs[9]--; // the checksum
        return machine.withAcpiTables(Map.of("IVRS", ivrs));
    }

    /** The units of the first and of the second device. */
    private static MachineDescription intel(long first, long second) {
        return IntelMachines.twoUnits(CAP, first, CAP, second);
    }

    @Test
    void everyRuleThatDecidesHasACell() {
        Set<String> deciding = new TreeSet<>();
        ReleasesTest.modules().forEach((module, rules) -> {
            for (ReleaseRule<?> rule : rules) {
                if (rule.decidesCoherence()) {
                    deciding.add(module + ": " + rule.name());
                }
            }
        });
        assertThat(CELLS.keySet()).containsExactlyInAnyOrderElementsOf(deciding);
    }

    @TestFactory
    Stream<DynamicTest> aTurnedRuleChangesACase() {
        List<DynamicTest> tests = new ArrayList<>();
        ReleasesTest.modules().forEach((module, rules) -> {
            for (ReleaseRule<?> rule : rules) {
                Cell cell = CELLS.get(module + ": " + rule.name());
                if (cell != null) {
                    tests.add(DynamicTest.dynamicTest(
                            module + ": " + rule.name(),
                            () -> assertThat(changes(rule, cell)).isNotEmpty()));
                }
            }
        });
        return tests.stream();
    }

    /**
     * The path of decisions names the rule that answered: where a turned rule changes a decision, it is among the rules
     * of the first one that changes.
     */
    @Test
    void theFirstDecisionThatATurnedRuleChangesNamesIt() {
        Set<String> named = new TreeSet<>();
        ReleasesTest.modules().forEach((module, rules) -> {
            for (ReleaseRule<?> rule : rules) {
                Cell cell = CELLS.get(module + ": " + rule.name());
                if (cell != null && !STORIES.containsKey(cell.story())) {
                    for (DecisionStep step : firstChanges(rule, cell)) {
                        assertThat(step.rules())
                                .as("%s: %s, %s", module, rule.name(), step)
                                .anyMatch(row -> row.module().equals(module)
                                        && row.name().equals(rule.name()));
                        named.add(module + ": " + rule.name());
                    }
                }
            }
        });
        assertThat(named)
                .contains(
                        "amd: enforcementOp",
                        "amd: enforcementCapability",
                        "intel: enforcement",
                        "intel: predictsEnforcement",
                        "vfio: asksDomains");
    }

    /** Returns the first decision of each release in which the turned rule changes one. */
    @SuppressWarnings("try") // the mock is there until it is closed
    private List<DecisionStep> firstChanges(ReleaseRule<?> rule, Cell cell) {
        List<DecisionStep> changes = new ArrayList<>();
        for (int i = 1; i < rule.periods().size(); i++) {
            RulePeriod<?> period = rule.periods().get(i);
            Object before = rule.periods().get(i - 1).value();
            List<DecisionStep> path = path(cell, period.from());
            List<DecisionStep> turned;
            try (MockedStatic<RuleRecords> ignored =
                    mockStatic(RuleRecords.class, call -> record(call.getArguments(), rule, before))) {
                turned = path(cell, period.from());
            }
            for (int at = 0; at < Math.min(path.size(), turned.size()); at++) {
                DecisionStep step = path.get(at);
                if (!step.question().equals(turned.get(at).question())) {
                    break;
                }
                if (!step.answer().equals(turned.get(at).answer())) {
                    changes.add(step);
                    break;
                }
            }
        }
        return changes;
    }

    /** Returns how it was decided; a run that is refused ends before the decisions. */
    private List<DecisionStep> path(Cell cell, LinuxRelease release) {
        Outcome outcome = workbench.runner().run(workbench.caseNamed(cell.story()), cell.machine(), release);
        return outcome.errno() == null ? outcome.path() : List.of();
    }

    /** Returns the releases in which the cell's outcome is another one when the rule is as it was before. */
    @SuppressWarnings("try") // the mock is there until it is closed
    private List<LinuxRelease> changes(ReleaseRule<?> rule, Cell cell) {
        List<LinuxRelease> changes = new ArrayList<>();
        for (int i = 1; i < rule.periods().size(); i++) {
            RulePeriod<?> period = rule.periods().get(i);
            Object before = rule.periods().get(i - 1).value();
            String outcome = outcome(cell, period.from());
            assertThat(outcome(cell, period.from())).as("run again").isEqualTo(outcome);
            try (MockedStatic<RuleRecords> ignored =
                    mockStatic(RuleRecords.class, call -> record(call.getArguments(), rule, before))) {
                if (!outcome(cell, period.from()).equals(outcome)) {
                    changes.add(period.from());
                }
            }
        }
        return changes;
    }

    private String outcome(Cell cell, LinuxRelease release) {
        Consumer<Scenario> own = STORIES.get(cell.story());
        Case story = own == null ? workbench.caseNamed(cell.story()) : story(cell.story(), own);
        try {
            Outcome outcome = workbench.runner().run(story, cell.machine(), release);
            return outcome.verdict() + " " + outcome.reason() + " " + outcome.errno() + " " + outcome.decision() + " "
                    + outcome.domains() + " " + outcome.noSnoopSent() + " " + outcome.noSnoopBlocked() + " "
                    + outcome.noSnoopPassed() + " " + notes(outcome);
        } catch (UnexpectedFaultException e) {
            // A unit found a reserved bit set, as the rule has it.
            return String.valueOf(e.getMessage());
        }
    }

    private static List<String> notes(Outcome outcome) {
        return outcome.timeline().stream()
                .filter(entry -> entry.lane() == TimelineEntry.Lane.NOTE)
                .map(TimelineEntry::text)
                .toList();
    }

    /** Makes the record as {@link RuleRecords} does, but for the one rule. */
    @SuppressWarnings("unchecked")
    private static Object record(Object[] arguments, ReleaseRule<?> turned, Object before)
            throws ReflectiveOperationException {
        Class<?> type = (Class<?>) arguments[1];
        List<ReleaseRule<?>> rules = (List<ReleaseRule<?>>) arguments[2];
        LinuxRelease release = (LinuxRelease) arguments[3];
        RecordComponent[] components = type.getRecordComponents();
        Object[] values = new Object[components.length];
        for (int i = 0; i < components.length; i++) {
            String name = components[i].getName();
            ReleaseRule<?> rule = rules.stream()
                    .filter(each -> each.name().equals(name))
                    .findFirst()
                    .orElseThrow();
            values[i] = rule.equals(turned) ? before : rule.in(release).value();
        }
        Constructor<?> constructor = type.getDeclaredConstructor(
                Arrays.stream(components).map(RecordComponent::getType).toArray(Class<?>[]::new));
        constructor.setAccessible(true);
        return constructor.newInstance(values);
    }

    private static Case story(String name, Consumer<Scenario> acts) {
        return new Case() {
            @Override
            public String name() {
                return name;
            }

            @Override
            public String about() {
                return "a story of this test";
            }

            @Override
            public boolean needsSecondDevice() {
                return true;
            }

            @Override
            public void run(Scenario scenario) {
                acts.accept(scenario);
            }
        };
    }

    // --- stories ---

    /** A guest has used its memory when a device comes whose unit may lack snoop control. */
    private static void lateDevice(Scenario scenario) {
        AssignedGuest guest = AssignedGuest.assign(scenario, scenario.device());
        guest.device(scenario.device(), 0).sendToDevice(0x1111, true);
        guest.device(scenario.device(), 1).sendToDevice(0x1111, true);
        guest.add(scenario.secondDevice());
        GuestDevice second = guest.device(scenario.secondDevice(), 1);
        second.mapBuffer(MemoryType.UC);
        scenario.note("it reads " + second.sendToDevice(0x3333, false));
    }

    /** Of two devices in one container the second's file leaves KVM. */
    private static void deviceLeavesKvm(Scenario scenario) {
        UserProcess vmm = scenario.machine().newProcess(0, true);
        VfioContainer container = scenario.vfio().openContainer(vmm);
        VfioGroup first = group(scenario, scenario.device());
        VfioGroup second = group(scenario, scenario.secondDevice());
        first.setContainer(container);
        container.setIommu(VfioExtension.TYPE1V2_IOMMU);
        second.setContainer(container);
        VirtualMachine vm = machine(scenario, vmm, KvmOptions.DEFAULT);
        KvmVfioDevice files = vm.createVfioDevice();
        files.addFile(first);
        files.addFile(second);
        files.deleteFile(second);
        scenario.note("non-coherent DMA: " + vm.noncoherentDma());
    }

    private static VfioGroup group(Scenario scenario, PciAddress device) {
        scenario.vfio().register(device);
        return scenario.vfio()
                .openGroup(scenario.core().group(device).orElseThrow().id());
    }

    private static VirtualMachine machine(Scenario scenario, UserProcess vmm, KvmOptions options) {
        return new VirtualMachine(vmm, scenario.machine().processors(), options.withRelease(scenario.release()));
    }

    /** A device joins the page table that iommufd made for another. */
    private static void joinsAnothersTable(Scenario scenario) {
        Iommufd iommufd = iommufd(scenario);
        VfioDeviceFile first = file(scenario, scenario.device());
        int firstId = first.bind(iommufd);
        int secondId = file(scenario, scenario.secondDevice()).bind(iommufd);
        int table = iommufd.hwptAlloc(new HwptAlloc(0, secondId, iommufd.ioasAlloc(0)));
        scenario.note("device " + firstId + " has " + (first.attach(table) == table));
        scenario.note("enforced: " + iommufd.hwpt(table).enforced());
    }

    private static Iommufd iommufd(Scenario scenario) {
        UserProcess process = scenario.machine().newProcess(0, true);
        return Iommufd.open(
                IommufdOptions.DEFAULT.withRelease(scenario.release()),
                new IommufdUser(process, new UserAccount(64), Set.of()));
    }

    private static VfioDeviceFile file(Scenario scenario, PciAddress device) {
        return VfioDeviceFile.open(scenario.vfio(), scenario.vfio().register(device));
    }

    /** Domains of user space, which differ in format. */
    private static void userDomains(Scenario scenario) {
        IommuDevice device = scenario.core().device(scenario.device()).orElseThrow();
        Iommu iommu = device.iommu();
        scenario.note(iommu.allocate(DomainType.UNMANAGED, device).format());
        try {
            scenario.note(
                    iommu.allocateForUser(device, Set.of(DomainFlag.PASID)).format());
        } catch (IommuException e) {
            scenario.note(e.errno().toString());
        }
        if (scenario.release().isAtLeast(6, 6)) {
            Iommufd iommufd = iommufd(scenario);
            int id = file(scenario, scenario.device()).bind(iommufd);
            try {
                int table = iommufd.hwptAlloc(new HwptAlloc(0, id, iommufd.ioasAlloc(0)));
                scenario.note(iommufd.hwpt(table).domain().format());
            } catch (IommuException e) {
                scenario.note(e.errno().toString());
            }
        }
    }

    /** KVM is given a device's own file. */
    private static void deviceFile(Scenario scenario) {
        VfioDeviceFile file = file(scenario, scenario.device());
        file.bind(iommufd(scenario));
        UserProcess vmm = scenario.machine().newProcess(0, true);
        VirtualMachine vm = machine(scenario, vmm, KvmOptions.DEFAULT);
        try {
            vm.createVfioDevice().addFile(file);
        } catch (IommuException e) {
            scenario.note(e.errno().toString());
        }
        scenario.note("non-coherent DMA: " + vm.noncoherentDma());
    }

    /** What a guest's memory is, by what guest and VMM turn off. */
    private static void guestMemory(Scenario scenario) {
        UserProcess vmm = scenario.machine().newProcess(0, true);
        vmm.allocate(Scenario.VMM_ADDRESS, 1, true);
        VirtualMachine quirky = machine(scenario, vmm, KvmOptions.DEFAULT.withIgnoreGuestPat(false));
        scenario.note("without the quirk " + quirky.guestMemoryType());
        VirtualMachine vm = machine(scenario, vmm, KvmOptions.DEFAULT);
        vm.addMemory(0, 0, 4096, Scenario.VMM_ADDRESS);
        KvmVfioDevice files = vm.createVfioDevice();
        boolean[] coherent = {true};
        VfioFile changing = () -> coherent[0];
        VfioFile noncoherent = () -> false;
        files.addFile(changing);
        coherent[0] = false;
        VfioFile absent = () -> true;
        try {
            files.deleteFile(absent);
        } catch (IommuException e) {
            scenario.note(e.errno() + ", non-coherent DMA: " + vm.noncoherentDma());
        }
        files.addFile(noncoherent);
        Vcpu vcpu = vm.createVcpu(scenario.machine().processors().get(0));
        vcpu.setCachingOff(true);
        scenario.note("caching off " + vcpu.memoryTypeOf(0));
        vcpu.setCachingOff(false);
        vm.setGuestMtrrs(MemoryType.UC);
        scenario.note("guest's MTRRs " + vm.guestMemoryType());
    }
}
