// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.vendor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.lang.reflect.Proxy;
import java.util.AbstractMap;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.iommu4j.Errno;
import org.iommu4j.LinuxRelease;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.release.ReleaseRule;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.BootOptions;
import org.iommu4j.spi.HostDescription;
import org.iommu4j.spi.HostFacts;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.spi.KernelParameter;
import org.iommu4j.spi.RegisterValues;
import org.iommu4j.spi.ShownUnit;
import org.iommu4j.tck.Errnos;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.ScriptedPlatform;
import org.iommu4j.tck.VendorBench;
import org.junit.jupiter.api.Test;

/** {@link org.iommu4j.spi.IommuVendor} as such: names, claims, parameters, rules. */
public abstract class VendorContract {
    /** Files that may be below a unit's directory, beside those that the vendor asks for. */
    private static final List<String> NO_VALUES =
            List.of("", " ", "-1", "zz", "0x", "1:", ":", "16:16", "99999999999999999999", "\u0000", "\u0661", "1e5");

    /** Made by JUnit. */
    protected VendorContract() {}

    // Name and state.

    @Test
    @Promise("vendor-name-1")
    void theNameHasSmallLettersAndDigitsAndStaysTheSame(VendorBench bench) throws ReflectiveOperationException {
        IommuVendor vendor = bench.vendor();
        String name = vendor.name();
        assertThat(name).matches("[a-z0-9]+");
        assertThat(vendor.name()).isEqualTo(name);
        assertThat(bench.another().name()).isEqualTo(name);
        assertThat(bench.describe().vendor()).as("the vendor of a description").isEqualTo(name);
        assertThat(bench.subject().vendors().named(name))
                .as("found by its name")
                .isSameAs(vendor);
    }

    @Test
    @Promise("vendor-1")
    void aVendorIsMadeWithoutParametersAndHasNoFields(VendorBench bench) throws ReflectiveOperationException {
        Class<?> type = bench.vendor().getClass();
        if (!Proxy.isProxyClass(type)) {
            assertThat(Modifier.isPublic(type.getModifiers()))
                    .as("%s is public", type)
                    .isTrue();
            for (Class<?> each = type; each != Object.class; each = each.getSuperclass()) {
                assertThat(each.getDeclaredFields())
                        .filteredOn(field -> !isConstant(field) && !field.isSynthetic())
                        .as("fields of %s that are state", each)
                        .isEmpty();
            }
        }
        assertThat(bench.another().describe(bench.facts(), bench.release())).isEqualTo(bench.describe());
    }

    private static boolean isConstant(Field field) {
        return Modifier.isFinal(field.getModifiers());
    }

    @Test
    @Promise("vendor-1")
    void anAnswerDependsOnNoEarlierCall(VendorBench bench) throws ReflectiveOperationException {
        IommuVendor vendor = bench.vendor();
        HostDescription before = bench.describe();
        HostFacts unread = bench.facts(bench.subject().machine().firmware(), bench.topology(), RegisterValues.UNKNOWN);
        HostDescription beforeUnread = bench.another().describe(unread, bench.release());
        // Registers may add nothing to the table; functions always do.
        HostFacts bare = bench.facts(bench.subject().machine().firmware(), List::of, bench.values());
        HostDescription beforeBare = bench.another().describe(bare, bench.release());
        List<LinuxRelease> releases = LinuxRelease.known();

        for (int round = 0; round < 3; round++) {
            vendor.describe(unread, bench.release());
            for (LinuxRelease release : releases) {
                if (vendor.supports(release)) {
                    vendor.describe(unread, release);
                }
            }
            byte[] table = bench.table(bench.signature());
            Throwable ignored = catchThrowable(() -> vendor.describe(
                    bench.facts(bench.firmwareWith(new byte[3]), bench.topology(), bench.values()), bench.release()));
            byte[] other =
                    bench.byDeviceTree() ? Arrays.copyOf(table, table.length + 1) : TableMutants.wronglySummed(table);
            vendor.describe(bench.facts(bench.firmwareWith(other), bench.topology(), bench.values()), bench.release());
            Errnos.assertRefused(
                    Errno.ENODEV, () -> vendor.open(bench.platform().context()));

            assertThat(vendor.describe(bench.facts(), bench.release()))
                    .as("described again")
                    .isEqualTo(before);
            assertThat(vendor.describe(unread, bench.release()))
                    .as("described again without registers")
                    .isEqualTo(beforeUnread);
            assertThat(vendor.describe(bare, bench.release()))
                    .as("described again without functions")
                    .isEqualTo(beforeBare);
        }
    }

    @Test
    @Promise("vendor-1")
    void threadsGetTheAnswersOfTheirOwnFacts(VendorBench bench) throws Exception {
        IommuVendor vendor = bench.vendor();
        HostFacts known = bench.facts();
        HostFacts bare = bench.facts(bench.subject().machine().firmware(), List::of, bench.values());
        HostDescription ofKnown = vendor.describe(known, bench.release());
        HostDescription ofBare = vendor.describe(bare, bench.release());
        ExecutorService threads = Executors.newFixedThreadPool(2);
        try {
            List<Future<Integer>> wrong = new ArrayList<>();
            for (int i = 0; i < 2; i++) {
                HostFacts facts = i == 0 ? known : bare;
                HostDescription expected = i == 0 ? ofKnown : ofBare;
                wrong.add(threads.submit((Callable<Integer>) () -> {
                    int differing = 0;
                    for (int round = 0; round < 300; round++) {
                        if (!vendor.describe(facts, bench.release()).equals(expected)) {
                            differing++;
                        }
                    }
                    return differing;
                }));
            }
            for (Future<Integer> each : wrong) {
                assertThat(each.get(60, TimeUnit.SECONDS))
                        .as("descriptions that differ")
                        .isZero();
            }
        } finally {
            threads.shutdownNow();
        }
    }

    // Claims.

    @Test
    @Promise("claims-1")
    void theTableDecidesWhetherAMachineIsClaimed(VendorBench bench) {
        IommuVendor vendor = bench.vendor();
        String own = bench.signature();
        assertThat(vendor.claims(bench.subject().machine().firmware())).isTrue();
        assertThat(vendor.claims(VendorBench.firmware(Map.of()))).as("no table").isFalse();
        Map<String, byte[]> others = new LinkedHashMap<>();
        for (String other : List.of("DMAR", "IVRS", "IORT", "RIMT", "VIOT", "FACP", "MCFG", "ZZZZ")) {
            // A vendor that finds units in device trees may have a table of its own too.
            boolean second = bench.byDeviceTree() && vendor.claims(VendorBench.firmware(Map.of(other, new byte[0])));
            if (!other.equals(own) && !second) {
                others.put(other, bench.table(own));
            }
        }
        assertThat(vendor.claims(VendorBench.firmware(others)))
                .as("tables of other names with the same bytes")
                .isFalse();
        for (int i = 0; i < 100; i++) {
            assertThat(vendor.claims(bench.subject().machine().firmware()))
                    .as("asked again")
                    .isTrue();
        }
    }

    @Test
    @Promise("claims-2")
    void aDamagedTableIsClaimedAsWell(VendorBench bench) {
        IommuVendor vendor = bench.vendor();
        byte[] table = bench.table(bench.signature());
        for (int length = 0; length < table.length; length++) {
            assertClaims(vendor, bench, Arrays.copyOf(table, length));
        }
        assertClaims(vendor, bench, TableMutants.wronglySummed(table));
        Random random = bench.random();
        for (int i = 0; i < bench.mutants(500); i++) {
            assertClaims(vendor, bench, TableMutants.mutant(table, random));
            byte[] noise = new byte[random.nextInt(200)];
            random.nextBytes(noise);
            assertClaims(vendor, bench, noise);
        }
    }

    private static void assertClaims(IommuVendor vendor, VendorBench bench, byte[] table) {
        boolean claims = vendor.claims(VendorBench.firmware(Map.of(bench.signature(), table)));
        // A device tree is nobody's own: damage may take the vendor's name out of it.
        assertThat(claims || bench.byDeviceTree())
                .as("claims a table of %d bytes", table.length)
                .isTrue();
    }

    @Test
    @Promise("claims-3")
    void theDriverOfAReleaseClaimsNoMoreThanTheVendorDoes(VendorBench bench) {
        IommuVendor vendor = bench.vendor();
        FirmwareTables own = bench.subject().machine().firmware();
        FirmwareTables none = VendorBench.firmware(Map.of());
        assertThat(vendor.claims(own, bench.release()))
                .as("its own machine under %s", bench.release())
                .isTrue();
        for (LinuxRelease release : releases()) {
            assertThat(vendor.claims(none, release)).as("no table").isFalse();
            if (!vendor.supports(release)) {
                assertThat(vendor.claims(own, release))
                        .as("under %s, which it does not support", release)
                        .isTrue();
            } else if (!vendor.claims(own, release)) {
                assertThat(vendor.describe(bench.facts(), release).devices())
                        .as("devices under %s, which finds no unit", release)
                        .allSatisfy(device -> assertThat(device.translated()).isEqualTo(Answer.NO));
                Errnos.assertRefused(
                        Errno.ENODEV,
                        () -> vendor.open(bench.platform().with(release).context()));
            }
        }
    }

    @Test
    @Promise("recognises-1")
    void aHostIsRecognisedByItsTableOrByAShownUnit(VendorBench bench) {
        IommuVendor vendor = bench.vendor();
        HostFacts nothing = bench.facts(VendorBench.firmware(Map.of()), bench.topology(), RegisterValues.UNKNOWN);
        assertThat(vendor.recognises(bench.facts())).as("its table").isTrue();
        assertThat(vendor.recognises(
                        bench.facts(bench.firmwareWith(new byte[0]), () -> List.of(), RegisterValues.UNKNOWN)))
                .as("its damaged table")
                .isEqualTo(!bench.byDeviceTree());
        assertThat(vendor.recognises(nothing)).as("nothing of its own").isFalse();
        assertThat(vendor.recognises(shown(bench, Map.of("zz9", unit(bench)))))
                .as("a stranger's unit")
                .isFalse();
        for (TranslationUnitSpec unit : bench.subject().machine().units()) {
            boolean known = vendor.describeSysfsUnit(
                            unit.name(),
                            attributes(vendor, bench, unit),
                            bench.subject().machine().firmware())
                    .isPresent();
            assertThat(vendor.recognises(shown(bench, Map.of(unit.name(), unit(bench)))))
                    .as("a host where Linux shows %s, which the vendor %s", unit.name(), known ? "reads" : "ignores")
                    .isEqualTo(known);
            assertThat(vendor.recognises(shown(bench, Map.of("zz9", unit(bench), unit.name(), unit(bench)))))
                    .as("beside a stranger's unit")
                    .isEqualTo(known);
        }
    }

    private static ShownUnit unit(VendorBench bench) {
        return bench.shownUnits().values().iterator().next();
    }

    private static HostFacts shown(VendorBench bench, Map<String, ShownUnit> units) {
        return bench.facts(
                VendorBench.firmware(Map.of()),
                bench.topology(),
                RegisterValues.UNKNOWN,
                new TreeMap<>(units),
                Map.of(),
                BootOptions.DEFAULT);
    }

    // What Linux shows.

    @Test
    @Promise("sysfs-1")
    void aUnitIsReadWhereItIsTheVendorsOwn(VendorBench bench) {
        IommuVendor vendor = bench.vendor();
        boolean shows = false;
        for (TranslationUnitSpec unit : bench.subject().machine().units()) {
            Map<String, String> attributes = attributes(vendor, bench, unit);
            var read = vendor.describeSysfsUnit(
                    unit.name(), attributes, bench.subject().machine().firmware());
            shows |= read.isPresent();
            boolean recognised = vendor.recognises(shown(bench, Map.of(unit.name(), unit(bench))));
            assertThat(read.isPresent())
                    .as("%s is read if it is recognised", unit.name())
                    .isEqualTo(recognised);
            read.ifPresent(own -> {
                assertThat(own.registerBase())
                        .as("registers of %s", unit.name())
                        .isIn(OptionalLong.empty(), OptionalLong.of(unit.registerBase()));
                assertThat(own.inUse()).as("what sysfs shows is used").isEqualTo(Answer.YES);
                assertThat(own.registers().values())
                        .as("registers of %s", unit.name())
                        .isSubsetOf(numbers(attributes));
            });
        }
        if (shows) {
            for (String name : List.of("", "zz9", "..", "\u0000", "0", "x".repeat(5000))) {
                assertThat(vendor.describeSysfsUnit(
                                name, Map.of(), bench.subject().machine().firmware()))
                        .as("a unit of a stranger, %s", name.length() > 9 ? "with a long name" : "'" + name + "'")
                        .isEmpty();
            }
        }
    }

    /** Returns all numbers that attributes can be read as. */
    private static Set<Long> numbers(Map<String, String> attributes) {
        Set<Long> numbers = new LinkedHashSet<>();
        for (String value : attributes.values()) {
            for (String part : value.split(":", -1)) {
                numbers.add(Long.parseUnsignedLong(part, 16));
            }
            if (value.matches("[0-9]:[0-9]")) {
                numbers.add(Long.parseLong(value.replace(":", ""), 16));
            }
            numbers.add(0L);
        }
        return numbers;
    }

    @Test
    @Promise("sysfs-2")
    void aUnitThatCantBeReadIsRefusedWithAMessage(VendorBench bench) {
        IommuVendor vendor = bench.vendor();
        Random random = bench.random();
        for (TranslationUnitSpec unit : bench.subject().machine().units()) {
            Map<String, String> good = attributes(vendor, bench, unit);
            if (vendor.describeSysfsUnit(
                            unit.name(), good, bench.subject().machine().firmware())
                    .isEmpty()) {
                continue;
            }
            int refused = 0;
            for (String path : good.keySet()) {
                for (String value : NO_VALUES) {
                    Map<String, String> bad = new LinkedHashMap<>(good);
                    bad.put(path, value);
                    refused += refuses(vendor, bench, unit.name(), bad) ? 1 : 0;
                }
                Map<String, String> lacking = new LinkedHashMap<>(good);
                lacking.remove(path);
                refused += refuses(vendor, bench, unit.name(), lacking) ? 1 : 0;
            }
            assertThat(refused)
                    .as("values of %s that make no sense and are refused", good.keySet())
                    .isGreaterThanOrEqualTo(good.size());
            for (int i = 0; i < 200; i++) {
                Map<String, String> bad = new LinkedHashMap<>(good);
                for (String path : good.keySet()) {
                    if (random.nextBoolean()) {
                        bad.put(path, Noise.text(random, random.nextInt(40)));
                    }
                }
                refuses(vendor, bench, unit.name(), bad);
                refuses(vendor, bench, unit.name() + random.nextLong(), bad);
            }
        }
    }

    /** Returns whether a unit is refused; an exception of another kind is an error. */
    private static boolean refuses(IommuVendor vendor, VendorBench bench, String name, Map<String, String> attributes) {
        Throwable thrown = catchThrowable(() -> vendor.describeSysfsUnit(
                name, attributes, bench.subject().machine().firmware()));
        if (thrown == null) {
            return false;
        }
        assertThat(thrown).as("%s with %s", name, attributes).isInstanceOf(IllegalArgumentException.class);
        assertThat(thrown).isNotInstanceOf(NumberFormatException.class);
        assertThat(thrown.getMessage()).as("the message says what was expected").isNotBlank();
        return true;
    }

    /**
     * Returns the files of a unit's directory. The vendor is asked which it looks for: each gets the value of a
     * register, or, as a version has it, two numbers.
     */
    private static Map<String, String> attributes(IommuVendor vendor, VendorBench bench, TranslationUnitSpec unit) {
        Map<String, String> found = new LinkedHashMap<>();
        for (String directory : List.of("", bench.vendor().name() + "-iommu/")) {
            for (int round = 0; round < 16; round++) {
                AskedMap asked = new AskedMap(found, directory);
                Throwable ignored = catchThrowable(() -> vendor.describeSysfsUnit(
                        unit.name(), asked, bench.subject().machine().firmware()));
                int before = found.size();
                for (String path : asked.missed) {
                    found.put(path, value(path, unit));
                }
                if (found.size() == before) {
                    break;
                }
            }
        }
        return found;
    }

    private static String value(String path, TranslationUnitSpec unit) {
        String file = path.substring(path.lastIndexOf('/') + 1);
        if (file.equals("version")) {
            return "1:0";
        }
        if (file.equals("address")) {
            return Long.toHexString(unit.registerBase());
        }
        for (Map.Entry<String, Long> register : unit.registers().entrySet()) {
            if (register.getKey().equalsIgnoreCase(file)) {
                return Long.toHexString(register.getValue());
            }
        }
        return unit.registers().values().stream()
                .max(Long::compareUnsigned)
                .map(Long::toHexString)
                .orElse("0");
    }

    /** Files, with a note of those that were asked for and are not there. */
    private static final class AskedMap extends AbstractMap<String, String> {
        private final Map<String, String> files;
        private final Set<String> missed = new LinkedHashSet<>();

        private AskedMap(Map<String, String> files, String directory) {
            this.files = new LinkedHashMap<>(files);
            if (!directory.isEmpty()) {
                this.files.put(directory, "a directory");
            }
        }

        @Override
        public String get(Object path) {
            if (!files.containsKey(path)) {
                missed.add((String) path);
            }
            return files.get(path);
        }

        @Override
        public boolean containsKey(Object path) {
            return get(path) != null;
        }

        @Override
        public Set<Entry<String, String>> entrySet() {
            return files.entrySet();
        }
    }

    // Parameters, releases and rules.

    @Test
    @Promise("parameters-1")
    void aDescriptionHasOnlyParametersThatTheVendorLists(VendorBench bench) {
        IommuVendor vendor = bench.vendor();
        List<KernelParameter> all = vendor.kernelParameters();
        assertThat(all).doesNotContainNull().doesNotHaveDuplicates();
        assertThat(vendor.kernelParameters()).as("asked again").isEqualTo(all);
        assertThat(all).allSatisfy(parameter -> {
            assertThat(parameter.parameter()).matches("[^\\s=,]+");
            assertThat(parameter.value()).matches("[^\\s,]+");
        });
        for (HostDescription description : descriptions(bench)) {
            assertThat(names(description.parameters())).as("listed").isSubsetOf(names(all));
        }
    }

    private static List<String> names(List<KernelParameter> parameters) {
        return parameters.stream()
                .map(each -> each + " " + each.effect())
                .distinct()
                .toList();
    }

    @Test
    @Promise("parameters-2")
    void aDescriptionHasOneValueOfEachEffect(VendorBench bench) {
        for (HostDescription description : descriptions(bench)) {
            assertThat(description.parameters())
                    .extracting(parameter -> parameter.parameter() + " " + parameter.effect())
                    .doesNotHaveDuplicates();
            assertThat(description.parameters())
                    .extracting(KernelParameter::toString)
                    .doesNotHaveDuplicates();
        }
    }

    /** Returns descriptions under each release, with and without registers, and with each parameter given. */
    private static List<HostDescription> descriptions(VendorBench bench) {
        IommuVendor vendor = bench.vendor();
        List<BootOptions> options = new ArrayList<>(List.of(BootOptions.DEFAULT));
        vendor.kernelParameters().forEach(parameter -> options.add(new BootOptions(parameter.toString())));
        List<HostDescription> all = new ArrayList<>();
        for (LinuxRelease release : LinuxRelease.known()) {
            if (!vendor.supports(release)) {
                continue;
            }
            for (BootOptions each : options) {
                for (RegisterValues values : List.of(bench.values(), RegisterValues.UNKNOWN)) {
                    all.add(vendor.describe(
                            bench.facts(
                                    bench.subject().machine().firmware(),
                                    bench.topology(),
                                    values,
                                    new TreeMap<>(),
                                    Map.of(),
                                    each),
                            release));
                }
            }
        }
        return all;
    }

    /** Releases without rules anywhere, and all that are known, with stable kernels of them. */
    static List<LinuxRelease> releases() {
        List<LinuxRelease> releases = new ArrayList<>(LinuxRelease.known());
        releases.add(new LinuxRelease(2, 6));
        releases.add(new LinuxRelease(4, 19));
        releases.add(new LinuxRelease(99, 0));
        releases.add(new LinuxRelease(6, 12, false, 95, "+deb13"));
        releases.add(new LinuxRelease(5, 14, false, 0, "-362.el9"));
        return releases;
    }

    @Test
    @Promise("supports-1")
    void aReleaseIsSupportedIfHostsAreDescribedAndOpenedUnderIt(VendorBench bench) {
        IommuVendor vendor = bench.vendor();
        assertThat(vendor.supports(bench.release()))
                .as("supports %s", bench.release())
                .isTrue();
        for (LinuxRelease release : releases()) {
            boolean supported = vendor.supports(release);
            assertThat(catchThrowable(() -> vendor.describe(bench.facts(), release)) == null)
                    .as("describes under %s", release)
                    .isEqualTo(supported);
            ScriptedPlatform platform = bench.platform().with(release);
            assertThat(catchThrowable(() -> vendor.open(platform.context())) instanceof IllegalArgumentException)
                    .as("refuses to open under %s", release)
                    .isEqualTo(!supported);
        }
    }

    @Test
    @Promise("rules-1")
    void whatDiffersBetweenReleasesIsARule(VendorBench bench) {
        IommuVendor vendor = bench.vendor();
        List<ReleaseRule<?>> rules = vendor.releaseRules();
        assertThat(rules).extracting(ReleaseRule::name).doesNotContainNull().doesNotHaveDuplicates();
        assertThat(rules).allSatisfy(rule -> assertThat(rule.sentence()).isNotBlank());
        assertThat(vendor.releaseRules()).as("asked again").isEqualTo(rules);
        LinuxRelease earlier = null;
        for (LinuxRelease release : LinuxRelease.known()) {
            if (!vendor.supports(release)) {
                continue;
            }
            for (ReleaseRule<?> rule : rules) {
                assertThatCode(() -> rule.in(release))
                        .as("%s in %s", rule.name(), release)
                        .doesNotThrowAnyException();
            }
            if (earlier != null
                    && !vendor.describe(bench.facts(), earlier).equals(vendor.describe(bench.facts(), release))) {
                LinuxRelease before = earlier;
                assertThat(rules)
                        .as("descriptions differ between %s and %s: some rule does", before, release)
                        .anyMatch(rule ->
                                !rule.in(before).value().equals(rule.in(release).value()));
            }
            earlier = release;
        }
    }

    @Test
    @Promise("kernel-log-1")
    void aReaderOfTheLogIsThere(VendorBench bench) {
        assertThat(bench.vendor().kernelLog()).isNotNull();
        assertThat(bench.vendor().kernelLog().words())
                .isEqualTo(bench.vendor().kernelLog().words());
        assertThatThrownBy(() -> bench.vendor().kernelLog().words().add("word"))
                .as("the list of words can't be changed")
                .isInstanceOf(UnsupportedOperationException.class);
    }
}
