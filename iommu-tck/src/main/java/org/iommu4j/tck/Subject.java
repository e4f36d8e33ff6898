// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Objects;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.iommu4j.LinuxRelease;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.spi.TranslationUnitProvider;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.spi.VendorContext;

/**
 * What is tested: a driver on a machine, and what its vendor says of it.
 *
 * <p>The machine has at least 64 MiB of memory, and at least two devices behind units, on PCI or not; the tests' {@link
 * Bench#device first} is the first one, the second is behind another unit if there is one.
 *
 * @param name for the display name
 * @param machine what to build
 * @param traits what to expect
 * @param caches whether CPU caches are in front of memory
 * @param release whose rules the driver follows
 * @param vendors of which one claims the machine
 * @param machines builds the machine
 * @param ports what the driver gets in place of the machine's ports
 * @param fabrics what a unit gets in place of the machine's memory; a platform of one's own puts it here
 */
public record Subject(
        String name,
        MachineDescription machine,
        Traits traits,
        boolean caches,
        LinuxRelease release,
        IommuVendors vendors,
        MachineFactory machines,
        UnaryOperator<VendorContext> ports,
        UnaryOperator<Fabric> fabrics) {
    /** The machine's own. */
    private static final UnaryOperator<Fabric> OWN = UnaryOperator.identity();

    /** Refuses what is missing; adds to the traits what the machine tells of its devices. */
    public Subject {
        Objects.requireNonNull(name, "name");
        Objects.requireNonNull(machine, "machine");
        Objects.requireNonNull(traits, "traits");
        Objects.requireNonNull(release, "release");
        Objects.requireNonNull(vendors, "vendors");
        Objects.requireNonNull(machines, "machines");
        Objects.requireNonNull(ports, "ports");
        Objects.requireNonNull(fabrics, "fabrics");
        if (machine.functions().stream().anyMatch(function -> function.unit().isPresent())) {
            traits = traits.with().can(Ability.PCI_DEVICES).build();
        }
        if (machine.platformDevices().stream().anyMatch(device -> device.unit().isPresent())) {
            traits = traits.with().can(Ability.NAMED_DEVICES).build();
        }
    }

    /** Returns a machine with CPU caches, with the vendors and the silicon of the path and the newest release. */
    public static Subject of(MachineDescription machine, Traits traits) {
        return new Subject(
                machine.name(),
                machine,
                traits,
                true,
                LinuxRelease.NEWEST,
                IommuVendors.load(),
                MachineFactory.load(),
                UnaryOperator.identity(),
                OWN);
    }

    /** Returns a machine twice, with CPU caches and without, which is what most vendors' classes list. */
    public static Stream<Subject> both(MachineDescription machine, Traits traits) {
        Subject subject = of(machine, traits);
        return Stream.of(subject, subject.flat());
    }

    /** Returns the same without caches in front of memory. */
    public Subject flat() {
        return new Subject(name + ", flat memory", machine, traits, false, release, vendors, machines, ports, fabrics);
    }

    /** Returns the same under another name. */
    public Subject named(String other) {
        return new Subject(other, machine, traits, caches, release, vendors, machines, ports, fabrics);
    }

    /** Returns the same under another release's rules. */
    public Subject under(LinuxRelease other) {
        return new Subject(
                name + ", Linux " + other, machine, traits, caches, other, vendors, machines, ports, fabrics);
    }

    /** Returns the same on another machine. */
    public Subject on(MachineDescription other) {
        return new Subject(name, other, traits, caches, release, vendors, machines, ports, fabrics);
    }

    /** Returns the same with CPU caches in front of memory. */
    public Subject cached() {
        return new Subject(name, machine, traits, true, release, vendors, machines, ports, fabrics);
    }

    /** Returns the same with other vendors, other silicon and other ports. */
    public Subject with(IommuVendors other, MachineFactory factory, UnaryOperator<VendorContext> otherPorts) {
        return new Subject(name, machine, traits, caches, release, other, factory, otherPorts, fabrics);
    }

    /** Returns the same whose driver gets other ports, made from those that it would get. */
    public Subject withPorts(UnaryOperator<VendorContext> more) {
        return with(vendors, machines, context -> more.apply(ports.apply(context)));
    }

    /** Returns the same whose units get other fabrics, made from those that they would get. */
    public Subject withFabrics(UnaryOperator<Fabric> more) {
        return new Subject(
                name,
                machine,
                traits,
                caches,
                release,
                vendors,
                machines,
                ports,
                fabric -> more.apply(fabrics.apply(fabric)));
    }

    /** Returns the same whose units are made by something else, which is given the silicon that would make them. */
    public Subject withUnits(UnitMaker maker) {
        return with(vendors, over(maker), ports);
    }

    private MachineFactory over(UnitMaker maker) {
        return new MachineFactory(machines.providers().stream()
                .<TranslationUnitProvider>map(provider -> new ProviderOver(provider, maker))
                .toList());
    }

    /** Makes units in place of silicon. */
    @FunctionalInterface
    public interface UnitMaker {
        /** Makes a unit, as {@link TranslationUnitProvider#create} of the silicon would. */
        TranslationUnit create(TranslationUnitProvider silicon, TranslationUnitSpec spec, Fabric fabric);
    }

    /** Builds a machine, on which no driver is opened. */
    public Machine build() {
        MachineFactory factory = fabrics == OWN
                ? machines
                : over((provider, spec, fabric) -> provider.create(spec, fabrics.apply(fabric)));
        return caches ? factory.create(machine) : factory.createFlat(machine);
    }

    /** Returns the one vendor that claims the machine. */
    public IommuVendor claimant() {
        List<IommuVendor> claiming = vendors.claiming(machine.firmware());
        assertThat(claiming).as("vendors that claim %s", this).hasSize(1);
        return claiming.get(0);
    }

    /** Returns what a driver gets on a machine of this kind. */
    public VendorContext context(Machine built) {
        return ports.apply(built.vendorContext(release));
    }

    /** Returns the name of the vendor that claims the machine; what its report is called. */
    public String vendor() {
        return claiming().size() == 1 ? claiming().get(0) : claiming().toString();
    }

    private List<String> claiming() {
        return vendors.claiming(machine.firmware()).stream()
                .map(vendor -> vendor.name())
                .toList();
    }

    @Override
    public String toString() {
        return name;
    }
}
