// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.core.DefaultDomainPolicy;
import org.iommu4j.core.IommuCore;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.release.ReleaseRule;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.trace.Trace;
import org.iommu4j.sim.trace.TraceKind;
import org.iommu4j.sim.verdict.CoherenceChecker;
import org.iommu4j.sim.verdict.Findings;
import org.iommu4j.sim.verdict.StaleRead;
import org.iommu4j.sim.verdict.Verdict;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.spi.IommuVendors;

/** Runs a case on a fresh machine and returns its outcome. */
public final class CaseRunner {

    private final MachineFactory machines;
    private final IommuVendors vendors;
    private final Wiring wiring;
    private final Map<String, List<ReleaseRule<?>>> ruleModules;

    /** Makes a runner. */
    public CaseRunner(MachineFactory machines, IommuVendors vendors) {
        this(machines, vendors, Wiring.DIRECT);
    }

    /** Makes a runner whose scenarios have something in between. */
    public CaseRunner(MachineFactory machines, IommuVendors vendors, Wiring wiring) {
        this.machines = machines;
        this.vendors = vendors;
        this.wiring = wiring;
        this.ruleModules = RuleModules.of(vendors);
    }

    /**
     * Runs a case on a machine's first endpoints: the first in its topology is the case's device, the next in another
     * group the second.
     */
    public Outcome run(Case story, MachineDescription description, LinuxRelease release) {
        return run(story, description, release, List.of());
    }

    /** Runs a case on devices of a machine, see {@link #run(Case, MachineDescription, Kernel, List)}. */
    public Outcome run(Case story, MachineDescription description, LinuxRelease release, List<PciAddress> devices) {
        return run(story, description, Kernel.of(release), devices);
    }

    /**
     * Runs a case.
     *
     * @param devices the case's device and the second one; what is missing is chosen from the topology
     * @throws IllegalArgumentException when a device is unknown or is a bridge; when more than two are given, or two of
     *     one group; when a driver refuses the machine
     */
    public Outcome run(Case story, MachineDescription description, Kernel kernel, List<PciAddress> devices) {
        if (devices.size() > 2) {
            throw new IllegalArgumentException(devices.size() + " devices " + devices + ", expected at most two");
        }
        Machine machine = machines.create(description);
        machine.trace().start();
        try {
            checkDrivers(machine, description, kernel.release());
            return judge(story, prepare(story, machine, description.name(), kernel, devices), description.name());
        } catch (NotApplicableException e) {
            return Outcome.notApplicable(story.name(), story.about(), kernel.release(), description.name(), e);
        }
    }

    /**
     * Makes a fresh machine with its drivers open, on which a case can be set up. Its trace is off.
     *
     * @throws IllegalArgumentException as {@link #run(Case, MachineDescription, Kernel, List)}
     * @throws NotApplicableException when the machine or the release lacks what the case needs
     */
    public Scenario open(Case story, MachineDescription description, Kernel kernel) {
        Machine machine = machines.create(description);
        checkDrivers(machine, description, kernel.release());
        return prepare(story, machine, description.name(), kernel, List.of());
    }

    private void checkDrivers(Machine machine, MachineDescription description, LinuxRelease release) {
        if (description.units().isEmpty()) {
            throw new NotApplicableException(
                    NotApplicable.MACHINE_LACKS, "machine " + description.name() + " has no IOMMU in use");
        }
        List<IommuVendor> drivers = vendors.claiming(machine.firmware());
        if (drivers.isEmpty()) {
            throw new NotApplicableException(
                    NotApplicable.NO_DRIVER,
                    "machine " + description.name() + ": no vendor claims its firmware " + firmware(description)
                            + "; known: "
                            + vendors.all().stream().map(IommuVendor::name).toList());
        }
        for (IommuVendor driver : drivers) {
            if (!driver.supports(release)) {
                throw new NotApplicableException(
                        NotApplicable.RELEASE_NOT_BUILT,
                        "machine " + description.name() + ": driver " + driver.name() + " is not built for Linux "
                                + release);
            }
            if (!driver.claims(machine.firmware(), release)) {
                throw new NotApplicableException(
                        NotApplicable.NO_DRIVER,
                        "machine " + description.name() + ": driver " + driver.name() + " of Linux " + release
                                + " finds no unit by its firmware " + firmware(description));
            }
        }
    }

    private static String firmware(MachineDescription description) {
        return "tables " + new TreeSet<>(description.acpiTables().keySet())
                + (description.deviceTree().isPresent() ? " and device tree" : "");
    }

    /**
     * Opens the drivers and chooses the devices. Nothing is closed: the machine, with all that is set up on it, is
     * dropped.
     */
    private Scenario prepare(Case story, Machine machine, String name, Kernel kernel, List<PciAddress> devices) {
        IommuCore core;
        try {
            MachineDescription description = machine.description();
            core = IommuCore.open(
                    vendors.open(machine.vendorContext(kernel.release())),
                    machine.topology(),
                    DefaultDomainPolicy.of(
                            description.bootOptions(), description.processors().architecture()));
        } catch (IommuException e) {
            throw new IllegalArgumentException("machine " + name + ": its IOMMU can't be set up: " + e.getMessage(), e);
        }
        PciAddress device = first(machine, core, devices, name);
        Optional<PciAddress> second = second(machine, core, device, devices, name);
        if (story.needsSecondDevice() && second.isEmpty()) {
            throw new NotApplicableException(
                    NotApplicable.MACHINE_LACKS,
                    "case " + story.name() + " needs a second endpoint in another group, machine " + name
                            + " has none");
        }
        return new Scenario(machine, core, kernel, device, second, wiring);
    }

    private Outcome judge(Case story, Scenario scenario, String machine) {
        NotApplicable reason = null;
        Errno errno = null;
        boolean refused = false;
        String refusal = null;
        Trace trace = scenario.machine().trace();
        int begin = trace.size();
        try {
            story.run(scenario);
        } catch (IommuException e) {
            if (hasDma(trace, begin)) {
                throw e;
            }
            errno = e.errno();
            refused = true;
            refusal = e.getMessage();
        } catch (RequestRefusedException e) {
            if (hasDma(trace, begin)) {
                throw e;
            }
            refused = true;
            refusal = e.getMessage();
        } catch (NotApplicableException e) {
            if (hasDma(trace, begin)) {
                throw new IllegalStateException("case " + story.name() + " does not apply after its DMA", e);
            }
            reason = e.reason();
            refusal = e.getMessage();
        }
        int end = trace.size();
        Timeline timeline = Timeline.of(trace, begin);
        Findings findings = CoherenceChecker.check(scenario.machine(), timeline::number, scenario::ownerOf);
        if (findings.staleReads().stream().anyMatch(StaleRead::ofMemory)) {
            timeline.addDrain(trace, end);
        }
        Outcome outcome = new Outcome(
                story.name(),
                story.about(),
                scenario.release(),
                machine,
                scenario.core()
                        .device(scenario.device())
                        .map(device -> device.iommu().vendor())
                        .orElse(null),
                reason != null ? Verdict.NOT_APPLICABLE : refused ? Verdict.REFUSED : findings.verdict(),
                reason,
                findings.blame(),
                errno,
                refusal,
                scenario.decision(),
                scenario.path().stream()
                        .map(made -> DecisionStep.of(made, ruleModules, scenario.release()))
                        .toList(),
                scenario.domains(),
                findings.noSnoopSent(),
                findings.noSnoopBlocked(),
                findings.noSnoopPassed(),
                findings.staleReads(),
                timeline.entries(),
                timeline.earlier(),
                null);
        return outcome.withUnexpected(story.unexpected(outcome, scenario).orElse(null));
    }

    private static boolean hasDma(Trace trace, int begin) {
        for (int event = begin; event < trace.size(); event++) {
            if ((trace.kind(event) == TraceKind.DMA_READ || trace.kind(event) == TraceKind.DMA_WRITE)
                    && !trace.has(event, Trace.FAULT)) {
                return true;
            }
        }
        return false;
    }

    private static PciAddress first(Machine machine, IommuCore core, List<PciAddress> wanted, String name) {
        if (!wanted.isEmpty()) {
            return known(machine, wanted.get(0), name);
        }
        return endpoints(machine, core).stream()
                .findFirst()
                .orElseThrow(() -> new NotApplicableException(
                        NotApplicable.MACHINE_LACKS,
                        "machine " + name + " has no PCI Express endpoint behind an IOMMU"));
    }

    private static Optional<PciAddress> second(
            Machine machine, IommuCore core, PciAddress device, List<PciAddress> wanted, String name) {
        if (wanted.size() > 1) {
            PciAddress second = known(machine, wanted.get(1), name);
            if (core.group(second).isPresent() && core.group(second).equals(core.group(device))) {
                throw new IllegalArgumentException("devices " + device + " and " + second + " of machine " + name
                        + " are both in " + core.group(device).orElseThrow() + ", expected two groups");
            }
            return Optional.of(second);
        }
        return endpoints(machine, core).stream()
                .filter(other -> !core.group(other).equals(core.group(device)))
                .findFirst();
    }

    /** The functions that could be assigned: no bridges, behind an IOMMU, with a PCI Express capability. */
    private static List<PciAddress> endpoints(Machine machine, IommuCore core) {
        return machine.topology().functions().stream()
                .filter(function -> !function.config().isBridge()
                        && function.config().findCapability(ConfigSpace.CAPABILITY_PCI_EXPRESS) != 0
                        && core.group(function.address()).isPresent())
                .map(PciFunction::address)
                .toList();
    }

    private static PciAddress known(Machine machine, PciAddress address, String name) {
        PciFunction function = machine.topology()
                .function(address)
                .orElseThrow(
                        () -> new IllegalArgumentException("machine " + name + " has no device " + address + "; it has "
                                + machine.topology().functions().stream()
                                        .map(PciFunction::address)
                                        .toList()));
        if (function.config().isBridge()) {
            throw new IllegalArgumentException(
                    "device " + address + " of machine " + name + " is a bridge, expected an endpoint");
        }
        return address;
    }
}
