// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.release;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectMethod;
import static org.mockito.ArgumentMatchers.any;
import static org.mockito.ArgumentMatchers.anyList;
import static org.mockito.Mockito.atLeastOnce;
import static org.mockito.Mockito.mockStatic;

import java.io.IOException;
import java.lang.reflect.Constructor;
import java.lang.reflect.Method;
import java.lang.reflect.RecordComponent;
import java.net.MalformedURLException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.iommu4j.LinuxRelease;
import org.iommu4j.it.Checkout;
import org.iommu4j.release.ReleaseRule;
import org.iommu4j.release.RulePeriod;
import org.iommu4j.release.RuleRecords;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;
import org.junit.platform.launcher.listeners.SummaryGeneratingListener;
import org.junit.platform.launcher.listeners.TestExecutionSummary;
import org.mockito.MockedStatic;
import org.mockito.invocation.InvocationOnMock;

/**
 * Each rule's witness is green, and red when the rule has its value of before in the release that brought a new one.
 *
 * <p>A witness is a test of some module. It is run here, under its own module's classes, while {@link RuleRecords}
 * answers with the one rule turned.
 */
class WitnessesTest {
    private static final List<String> MODULES =
            List.of("iommu-intel", "iommu-amd", "iommu-riscv", "iommu-core", "vfio-core", "kvm-x86", "host-audit");

    private final Map<String, ClassLoader> loaders = new HashMap<>();

    @TestFactory
    Stream<DynamicTest> aWitnessIsRedWhenItsRuleIsTurned() {
        List<DynamicTest> tests = new ArrayList<>();
        ReleasesTest.modules().forEach((module, rules) -> {
            for (ReleaseRule<?> rule : rules) {
                tests.add(DynamicTest.dynamicTest(module + ": " + rule.name(), () -> check(module, rule)));
            }
        });
        return tests.stream();
    }

    private void check(String module, ReleaseRule<?> rule) throws IOException, ReflectiveOperationException {
        Method witness = witness(module, rule.witness());
        RulePeriod<?> first = rule.periods().get(0);
        TestExecutionSummary plain = run(witness, rule, first.from(), first.value());
        assertThat(plain.getTestsSucceededCount()).as("%s runs", witness).isPositive();
        assertThat(plain.getTotalFailureCount()).as("%s as it is", witness).isZero();
        for (int i = 1; i < rule.periods().size(); i++) {
            RulePeriod<?> period = rule.periods().get(i);
            Object before = before(rule, i);
            if (!before.equals(period.value())) {
                assertThat(run(witness, rule, period.from(), before).getTotalFailureCount())
                        .as("%s, with %s still %s in %s", witness, rule.name(), before, period.from())
                        .isPositive();
            }
        }
    }

    /** Returns what holds until a period: of a release, no back-port to an older one; else what its series had. */
    private static Object before(ReleaseRule<?> rule, int period) {
        LinuxRelease from = rule.periods().get(period).from();
        if (from.patch() != 0) {
            return rule.in(new LinuxRelease(from.major(), from.minor(), false, from.patch() - 1, ""))
                    .value();
        }
        int last = period - 1;
        while (rule.periods().get(last).from().patch() != 0) {
            last--;
        }
        return rule.periods().get(last).value();
    }

    /** Makes the record as {@link RuleRecords} does, but for the one rule. */
    private static Object record(InvocationOnMock call, ReleaseRule<?> turned, LinuxRelease boundary, Object before)
            throws ReflectiveOperationException {
        Class<?> type = call.getArgument(1);
        List<ReleaseRule<?>> rules = call.getArgument(2);
        LinuxRelease release = call.getArgument(3);
        RecordComponent[] components = type.getRecordComponents();
        Object[] values = new Object[components.length];
        for (int i = 0; i < components.length; i++) {
            String name = components[i].getName();
            ReleaseRule<?> rule = rules.stream()
                    .filter(each -> each.name().equals(name))
                    .findFirst()
                    .orElseThrow();
            values[i] = rule.in(release).value();
            if (rule.sentence().equals(turned.sentence())
                    && release.base().equals(boundary.base())
                    && boundary.patch() <= release.patch()) {
                values[i] = components[i].getType().isEnum() ? sameIn(components[i].getType(), before) : before;
            }
        }
        Constructor<?> constructor = type.getDeclaredConstructor(
                Arrays.stream(components).map(RecordComponent::getType).toArray(Class<?>[]::new));
        constructor.setAccessible(true);
        return constructor.newInstance(values);
    }

    /** The witness's module is loaded anew, and its enums with it. */
    private static Object sameIn(Class<?> type, Object value) {
        return Arrays.stream(type.getEnumConstants())
                .filter(constant -> constant.toString().equals(value.toString()))
                .findFirst()
                .orElseThrow();
    }

    /** Runs a witness with a rule's value turned in one release, or as it is, where the value is its own. */
    private static TestExecutionSummary run(Method witness, ReleaseRule<?> rule, LinuxRelease release, Object value) {
        SummaryGeneratingListener listener = new SummaryGeneratingListener();
        try (MockedStatic<RuleRecords> turned =
                mockStatic(RuleRecords.class, call -> record(call, rule, release, value))) {
            LauncherFactory.create()
                    .execute(
                            LauncherDiscoveryRequestBuilder.request()
                                    .selectors(selectMethod(witness.getDeclaringClass(), witness))
                                    .build(),
                            listener);
            turned.verify(() -> RuleRecords.of(any(), any(), anyList(), any()), atLeastOnce());
        }
        return listener.getSummary();
    }

    private Method witness(String module, String name) throws IOException, ReflectiveOperationException {
        String[] parts = name.split("#", -1);
        for (String directory : MODULES) {
            if (List.of("intel", "amd", "riscv").contains(module) && !directory.equals("iommu-" + module)) {
                continue;
            }
            Path classes = Checkout.root().resolve(directory).resolve("target/test-classes");
            try (Stream<Path> files = Files.walk(classes)) {
                Path file = files.filter(each -> each.endsWith(parts[0] + ".class"))
                        .findFirst()
                        .orElse(null);
                if (file != null) {
                    String relative = classes.relativize(file).toString();
                    String type = relative.substring(0, relative.length() - ".class".length())
                            .replace('/', '.');
                    return Arrays.stream(loader(directory).loadClass(type).getDeclaredMethods())
                            .filter(method -> method.getName().equals(parts[1]))
                            .findFirst()
                            .orElseThrow(() -> new AssertionError("no method " + name));
                }
            }
        }
        throw new AssertionError("no compiled test " + name + "; test-compile of all modules comes before this");
    }

    private ClassLoader loader(String directory) {
        return loaders.computeIfAbsent(directory, unused -> {
            Path target = Checkout.root().resolve(directory).resolve("target");
            return new ModuleLoader(url(target.resolve("test-classes")), url(target.resolve("classes")));
        });
    }

    private static URL url(Path directory) {
        try {
            return directory.toUri().toURL();
        } catch (MalformedURLException e) {
            throw new IllegalArgumentException(e);
        }
    }

    /** Loads one module and its tests, which may see what is the module's own, and takes all else from this one. */
    private static final class ModuleLoader extends URLClassLoader {
        ModuleLoader(URL... directories) {
            super(directories, WitnessesTest.class.getClassLoader());
        }

        @Override
        protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
            synchronized (getClassLoadingLock(name)) {
                Class<?> loaded = findLoadedClass(name);
                if (loaded == null && name.startsWith("org.iommu4j.")) {
                    try {
                        loaded = findClass(name);
                    } catch (ClassNotFoundException e) {
                        loaded = super.loadClass(name, resolve);
                    }
                }
                return loaded == null ? super.loadClass(name, resolve) : loaded;
            }
        }
    }
}
