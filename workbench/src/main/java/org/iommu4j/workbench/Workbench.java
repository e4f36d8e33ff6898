// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench;

import com.google.inject.Guice;
import com.google.inject.Stage;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.iommu4j.LinuxRelease;
import org.iommu4j.audit.CaptureComparison;
import org.iommu4j.host.FunctionEvidence;
import org.iommu4j.host.HostEvidence;
import org.iommu4j.host.HostInputs;
import org.iommu4j.host.InputException;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.TranslationUnitProvider;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.workbench.captured.CapturedMachine;
import org.iommu4j.workbench.scenario.Case;
import org.iommu4j.workbench.scenario.CaseRunner;
import org.iommu4j.workbench.scenario.Kernel;
import org.iommu4j.workbench.scenario.NotApplicableException;
import org.jspecify.annotations.Nullable;

/** The parts that subcommands use: cases, machines, and the runner of a case on a machine. */
public final class Workbench {
    private final Map<String, Case> cases;
    private final MachineFactory machines;
    private final Set<TranslationUnitProvider> silicon;
    private final IommuVendors vendors;
    private final CaseRunner runner;

    /** Makes a workbench. */
    public Workbench(
            Map<String, Case> cases,
            MachineFactory machines,
            Collection<TranslationUnitProvider> silicon,
            IommuVendors vendors,
            CaseRunner runner) {
        this.cases = new TreeMap<>(cases);
        this.machines = machines;
        this.silicon = Set.copyOf(silicon);
        this.vendors = vendors;
        this.runner = runner;
    }

    /** Binds the application and makes its workbench. */
    public static Workbench create() {
        return Guice.createInjector(Stage.PRODUCTION, new WorkbenchModule()).getInstance(Workbench.class);
    }

    /** Returns the cases, sorted by name. */
    public Collection<Case> cases() {
        return cases.values();
    }

    /**
     * Finds a case.
     *
     * @throws IllegalArgumentException when there is none; the message lists those known
     */
    public Case caseNamed(String name) {
        Case found = cases.get(name);
        if (found == null) {
            throw new IllegalArgumentException("no case '" + name + "'; known: " + cases.keySet());
        }
        return found;
    }

    /** Returns the machines. */
    public MachineFactory machines() {
        return machines;
    }

    /** Returns the runner of cases. */
    public CaseRunner runner() {
        return runner;
    }

    /**
     * Reads a captured host.
     *
     * @param capture a directory or tar with a Linux {@code sys/} tree
     * @throws InputException when it is none
     */
    public HostEvidence read(Path capture) {
        return new HostInputs(vendors).capture(capture).read();
    }

    /**
     * Describes the machine of a captured host.
     *
     * @throws NotApplicableException when it has no IOMMU in use, or one of no known vendor
     * @throws InputException when the capture lacks what it takes
     */
    public MachineDescription describe(HostEvidence host) {
        return CapturedMachine.describe(host, silicon, vendors);
    }

    /** Returns a release with the parameters that a captured host's modules have. */
    public static Kernel kernel(HostEvidence host, LinuxRelease release) {
        return new Kernel(release, host.unsafeInterruptsAllowed());
    }

    /**
     * Returns the doubts about answers for a captured host, one line each: the facts that the capture lacks, and the
     * differences between our reading of its tables and topology and its own Linux's.
     */
    public List<String> warnings(HostEvidence host, MachineDescription description) {
        List<String> warnings = new ArrayList<>();
        if (host.interruptRemapping() == Answer.UNKNOWN) {
            warnings.add(host.name()
                    + " has no kernel log (dmesg.txt) that states interrupt remapping: it is assumed on where the"
                    + " hardware has it");
        }
        warnings.addAll(host.warnings());
        warnings.addAll(
                CaptureComparison.differences(host, machines.create(description).topology(), vendors));
        return warnings;
    }

    /**
     * Checks that a device of a captured host was named.
     *
     * @throws InputException when none was
     */
    static void requireDevice(HostEvidence host, @Nullable PciAddress device) {
        List<FunctionEvidence> functions = host.functions();
        if (device == null) {
            throw new InputException("--host needs --device, for example --device "
                    + (functions.isEmpty()
                            ? "0000:02:00.0"
                            : functions.get(functions.size() - 1).address()));
        }
    }
}
